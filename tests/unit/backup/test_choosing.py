"""Which volumes of a stack are backed up: those that its file says so of, and none is left out in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stampede.documents import Revision
from stampede.errors import BackupError, BadInput, Refused, UnknownName
from stampede.flows.backups.choosing import backed_up, refuse_missing
from stampede.flows.volumes.hosts import Volumes
from stampede.volumes.labels import KEY
from stampede.volumes.models import FoundManagedVolume
from stampede.volumes.views import HostVolumes

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def revision(**volumes: dict[str, Any]) -> Revision:
    """A service that mounts all of these volumes but `unused`."""
    mounts = [{"type": "volume", "source": key, "target": f"/{key}"} for key in volumes if key != "unused"]
    document = {
        "name": "shop",
        "services": {"db": {"image": "db:1", "volumes": mounts}},
        "volumes": {key: {"name": f"shop_{key}", **volume} for key, volume in volumes.items()},
    }
    return Revision(stack="shop", number=1, created=NOW, salt="s", document=document, images={})


def found(*keys: str) -> Volumes:
    volumes = tuple(
        FoundManagedVolume(
            name=f"shop_{key}",
            stack="shop",
            host="h1",
            size_bytes=1,
            used_bytes=1,
            created=NOW,
            labels={KEY: key},
            data="/",
            mounted=True,
            snapshots=0,
        )
        for key in keys
    )
    return Volumes("shop", {"h1": HostVolumes(host="h1", volumes=volumes)})


BACKED_UP = {"x-backups": {"store": "offsite"}}


def test_the_volumes_with_a_policy_are_backed_up() -> None:
    chosen = backed_up(found("db", "cache"), revision(db=BACKED_UP, cache={"x-size": "1G"}), None)
    assert [(one.key, one.policy.store) for one in chosen.volumes] == [("db", "offsite")]


def test_those_named_are_backed_up() -> None:
    chosen = backed_up(found("db", "files"), revision(db=BACKED_UP, files=BACKED_UP), ["files"])
    assert [one.key for one in chosen.volumes] == ["files"]


def test_a_volume_that_no_host_has_is_not_left_out_in_silence() -> None:
    with pytest.raises(BackupError, match="no host that answers has shop/files"):
        backed_up(found("db"), revision(db=BACKED_UP, files=BACKED_UP), None)
    assert backed_up(found("db"), revision(db=BACKED_UP, files=BACKED_UP), ["db"]).volumes
    with pytest.raises(UnknownName, match="files"):
        backed_up(found("db"), revision(db=BACKED_UP, files=BACKED_UP), ["files"])


def test_a_volume_that_nothing_mounts_need_not_be_there() -> None:
    chosen = backed_up(found("db"), revision(db=BACKED_UP, unused=BACKED_UP), None)
    assert [one.key for one in chosen.volumes] == ["db"]


def test_a_schedule_goes_on_without_what_is_nowhere_and_without_what_has_no_policy_any_more() -> None:
    wanted = revision(db=BACKED_UP, unused=BACKED_UP, files=BACKED_UP)
    chosen = backed_up(found("db"), wanted, ["db", "unused", "before"], scheduled=True)
    assert ([one.key for one in chosen.volumes], chosen.nowhere) == (["db"], ("unused",))
    refuse_missing(wanted, chosen)
    chosen = backed_up(found("db"), wanted, ["db", "files"], scheduled=True)
    with pytest.raises(BackupError, match="no host that answers has shop/files"):
        refuse_missing(wanted, chosen)


def test_of_several_of_one_name_the_one_that_the_file_means_is_backed_up() -> None:
    (db,) = found("db").all
    twin = db.model_copy(update={"name": "twin"})
    both = Volumes("shop", {"h1": HostVolumes(host="h1", volumes=(twin, db))})
    assert [one.volume.name for one in backed_up(both, revision(db=BACKED_UP), None).volumes] == ["shop_db"]
    hosts = {host: HostVolumes(host=host, volumes=(db.model_copy(update={"host": host}),)) for host in ("h1", "h2")}
    with pytest.raises(Refused, match="several volumes are called shop/db"):
        backed_up(Volumes("shop", hosts), revision(db=BACKED_UP), None)


def test_what_has_no_policy_is_said() -> None:
    with pytest.raises(BadInput, match="no volume of shop has x-backups"):
        backed_up(found("db"), revision(db={"x-size": "1G"}), None)
    with pytest.raises(BadInput, match="shop/cache has no x-backups"):
        backed_up(found("db", "cache"), revision(db=BACKED_UP, cache={"x-size": "1G"}), ["cache"])
    with pytest.raises(UnknownName, match="nothing"):
        backed_up(found("db"), revision(db=BACKED_UP), ["nothing"])
    with pytest.raises(BadInput):
        backed_up(found("db"), None, None)
