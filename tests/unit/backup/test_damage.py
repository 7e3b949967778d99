"""Objects that were changed, cut short, deleted, swapped or replayed; keys and formats that do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups
from stampede.backup.recovery_key import new_recovery_key, printed, secret_of
from stampede.backup.repository import Keys, add_slot, create_repository, open_repository
from stampede.backup.restore import restore
from stampede.backup.tables import BLOCK, CHUNK, SEGMENT
from stampede.backup.verify import verify
from stampede.errors import BackupError, BadInput, Damaged, Foreign, NewerFormat, Refused, WrongKey
from stampede.extents import Range
from tests.fakes.object_store import FakeStore
from tests.unit.backup.images import NOW, Image, repository, restored

VOLUME = "shop_db"


class Stored:
    """A volume with two backups: chunk 5 differs between them, chunk 900 is in the second only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store, self.keys = repository()
        self.image = Image(folder / "image", SEGMENT + 40 * CHUNK)
        self.image.write(0, os.urandom(40 * CHUNK))
        self.image.write(SEGMENT, os.urandom(20 * CHUNK))
        self.image.back_up(self.store, self.keys)
        self.image.write(5 * CHUNK, os.urandom(CHUNK))
        self.image.write(900 * CHUNK, os.urandom(CHUNK))
        self.image.back_up(self.store, self.keys)

    def packs(self) -> list[str]:
        return sorted(name for name in self.store.objects if name.startswith("v/shop_db/p/"))

    def change(self, name: str, content: bytes) -> None:
        self.store.objects[name] = (content, self.store.objects[name][1])

    def flip(self, name: str, at: int) -> None:
        content = bytearray(self.store.objects[name][0])
        content[at] ^= 1
        self.change(name, bytes(content))


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


def test_a_flipped_bit_is_found_with_its_place_its_blocks_and_the_backups_it_damages(stored: Stored) -> None:
    second = stored.packs()[1]
    stored.flip(second, 1000)
    found = verify(stored.store, stored.keys, VOLUME, NOW, "full")
    (bad,) = found.bad
    assert (bad.object, bad.backups) == (second, (2,))
    assert bad.start <= 1000 < bad.end
    assert bad.blocks == (Range(5 * CHUNK, 6 * CHUNK), Range(900 * CHUNK, 901 * CHUNK))
    assert found.damaged_backups == (2,)
    assert restored(stored.store, stored.keys, stored.folder, 1)
    with pytest.raises(Damaged, match=r"cannot be restored from backup 2"):
        restored(stored.store, stored.keys, stored.folder, 2)


def test_a_damaged_backup_leaves_only_a_partial_file(stored: Stored) -> None:
    stored.flip(stored.packs()[1], 1000)
    with pytest.raises(Damaged):
        restore(stored.store, stored.keys, VOLUME, stored.folder / "target")
    assert not (stored.folder / "target").exists()
    assert (stored.folder / "target.partial").exists()


def test_what_can_be_read_is_restored_with_holes_when_asked_for(stored: Stored) -> None:
    stored.flip(stored.packs()[1], 1000)
    report = restore(stored.store, stored.keys, VOLUME, stored.folder / "target", allow_holes=True)
    assert report.holes == (Range(5 * CHUNK, 6 * CHUNK), Range(900 * CHUNK, 901 * CHUNK))
    expected = bytearray(stored.image.content)
    for start, end in report.holes:
        expected[start:end] = bytes(end - start)
    assert (stored.folder / "target").read_bytes() == expected


def test_every_kind_of_place_in_a_pack_is_covered_by_verify(stored: Stored) -> None:
    """Everything but the footer, which only adoption reads."""
    missed = 0
    for name in stored.packs():
        size = len(stored.store.objects[name][0])
        for at in range(0, size - 2500, size // 7):
            stored.flip(name, at)
            missed += not verify(stored.store, stored.keys, VOLUME, NOW, "full").bad
            stored.flip(name, at)
    assert missed == 0
    assert verify(stored.store, stored.keys, VOLUME, NOW, "full").bad == ()


@pytest.mark.parametrize("what", ["missing", "short"])
def test_a_pack_that_is_missing_or_short_is_found_by_length_alone(stored: Stored, what: str) -> None:
    first = stored.packs()[0]
    size = len(stored.store.objects[first][0])
    if what == "missing":
        del stored.store.objects[first]
    else:
        stored.change(first, stored.store.objects[first][0][:-1])
    found = verify(stored.store, stored.keys, VOLUME, NOW, "quick")
    assert found.damaged_backups == (1, 2)
    assert {bad.object for bad in found.bad} == {first}
    whole = next(bad for bad in found.bad if (bad.start, bad.end) == (0, size))
    assert whole.blocks == (Range(0, stored.image.size),)
    assert 2 in whole.backups


@pytest.mark.parametrize("rescan", [False, True])
@pytest.mark.parametrize("what", ["flip", "missing", "table", "manifest"])
def test_what_is_damaged_is_sent_again_by_the_next_backup(stored: Stored, what: str, rescan: bool) -> None:
    first, second = stored.packs()
    content = stored.store.objects[second][0]
    if what == "missing":
        del stored.store.objects[first]
    else:
        stored.flip(second, {"flip": 1000, "table": 2 * CHUNK + 200, "manifest": len(content) - 500}[what])
        stored.flip(first, 70_000)
    before = verify(stored.store, stored.keys, VOLUME, NOW, "full")
    assert 2 in before.damaged_backups
    report = stored.image.back_up(stored.store, stored.keys, rescan=rescan)
    assert report.uploaded_bytes > 0
    found = verify(stored.store, stored.keys, VOLUME, NOW, "full")
    assert report.backup not in found.damaged_backups
    assert 2 in found.damaged_backups
    assert restored(stored.store, stored.keys, stored.folder) == stored.image.content
    assert stored.image.back_up(stored.store, stored.keys, rescan=rescan).uploaded_bytes == 0


def test_a_swapped_pack_is_damage(stored: Stored) -> None:
    first, second = stored.packs()
    objects = stored.store.objects
    objects[first], objects[second] = objects[second], objects[first]
    assert verify(stored.store, stored.keys, VOLUME, NOW, "full").damaged_backups == (1, 2)


def test_a_pack_of_another_volume_is_damage(stored: Stored) -> None:
    stored.image.base = 0
    stored.image.back_up(stored.store, stored.keys, volume="other")
    other = next(name for name in stored.store.objects if name.startswith("v/other/p/"))
    stored.change(stored.packs()[0], stored.store.objects[other][0])
    with pytest.raises(Damaged):
        restored(stored.store, stored.keys, stored.folder, 1)


def test_a_commit_replayed_as_another_is_damage(stored: Stored) -> None:
    objects = stored.store.objects
    objects["v/shop_db/s/000000000003"] = objects["v/shop_db/s/000000000001"]
    *listed, lost = backups(stored.store, stored.keys, VOLUME, with_lost=True)
    assert [(one.backup, one.trouble) for one in listed] == [(1, ""), (2, "")]
    assert "000000000003 is not what was written there" in lost.trouble


def test_a_commit_that_cannot_be_read_damages_only_its_own_backup(stored: Stored) -> None:
    stored.flip("v/shop_db/s/000000000001", 40)
    found = verify(stored.store, stored.keys, VOLUME, NOW, "quick")
    assert [(bad.object, bad.backups) for bad in found.bad] == [("v/shop_db/s/000000000001", (1,))]
    assert restored(stored.store, stored.keys, stored.folder, 2) == stored.image.content


def test_a_sample_reads_a_part(stored: Stored) -> None:
    found = verify(stored.store, stored.keys, VOLUME, NOW, "sample")
    full = verify(stored.store, stored.keys, VOLUME, NOW, "full")
    assert 0 < found.checked_bytes < full.checked_bytes
    assert full.checked_bytes == (61 + 1 + 0) * CHUNK


def test_another_key_opens_nothing(stored: Stored) -> None:
    with pytest.raises(WrongKey):
        open_repository(stored.store, recovery_key=new_recovery_key())
    with pytest.raises(Damaged):
        backups(stored.store, Keys(stored.keys.repository, os.urandom(32)), VOLUME)


def test_a_repository_opens_with_its_recovery_key_its_passphrase_and_keys_added_later() -> None:
    store, recovery_key, another = FakeStore(), new_recovery_key(), new_recovery_key()
    keys = create_repository(store, recovery_key, NOW, passphrase="correct horse")
    assert open_repository(store, recovery_key=recovery_key.lower().replace("-", " ")).master == keys.master
    assert open_repository(store, passphrase="correct horse").master == keys.master
    with pytest.raises(WrongKey):
        open_repository(store, passphrase="wrong horse")
    with pytest.raises(WrongKey):
        open_repository(store, recovery_key=another)
    add_slot(store, keys, "recovery", another)
    assert open_repository(store, recovery_key=another).master == keys.master


def test_a_repository_is_never_made_over_another(stored: Stored) -> None:
    with pytest.raises(Refused, match="already"):
        create_repository(stored.store, new_recovery_key(), NOW)


def test_an_empty_prefix_holds_no_repository() -> None:
    with pytest.raises(BackupError, match="no repository"):
        open_repository(FakeStore(), recovery_key=new_recovery_key())


def test_a_mistyped_recovery_key_is_told_from_a_wrong_one() -> None:
    text = new_recovery_key()
    assert printed(secret_of(text)) == text
    for at, character in enumerate(text):
        if character != "-":
            wrong = text[:at] + ("A" if character != "A" else "B") + text[at + 1 :]
            with pytest.raises(BadInput, match="mistyped"):
                secret_of(wrong)
    with pytest.raises(BadInput, match="no recovery key"):
        secret_of(text[:-1])


def test_newer_formats_are_refused_by_name(stored: Stored) -> None:
    name = "v/shop_db/s/000000000002"
    content = bytearray(stored.store.objects[name][0])
    content[8] = 2
    stored.change(name, bytes(content))
    with pytest.raises(NewerFormat, match="newer release"):
        backups(stored.store, stored.keys, VOLUME)
    document = stored.store.objects["repo"][0]
    stored.change("repo", document.replace(b'"format":1', b'"format":2'))
    with pytest.raises(NewerFormat, match="newer release"):
        open_repository(stored.store, recovery_key=new_recovery_key())


def test_another_cluster_does_not_back_up_over_a_volume_of_the_same_name(stored: Stored) -> None:
    from stampede.backup.writer import About, Source, backup

    with stored.image.path.open("rb") as file:
        source = Source(file.fileno(), stored.image.size, stored.image.data())
        with pytest.raises(Foreign, match="home"):
            backup(stored.store, stored.keys, VOLUME, source, About(created=NOW, origin="elsewhere"))


def test_a_disk_without_room_is_refused_before_anything_is_written(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stampede.backup.restore import NoSpace

    free = os.statvfs(stored.folder)
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result((BLOCK, BLOCK, 100, 9, 9, *free[5:])))
    with pytest.raises(NoSpace):
        restore(stored.store, stored.keys, VOLUME, stored.folder / "target")
    assert not (stored.folder / "target.partial").exists()
