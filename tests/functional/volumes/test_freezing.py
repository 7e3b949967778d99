"""A frozen file system never stays frozen: whoever of the two processes dies, and whatever goes wrong in between."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stampede.blocks.volumes import ImagePool, freezer, mounts
from stampede.blocks.volumes.freezing import frozen, thaw_all
from stampede.errors import DaemonError, Transient
from stampede.places import Places
from stampede.programs import Running, run, running
from tests.lab.pools import running_pool, wanted

pytestmark = pytest.mark.functional

LONG_S = 60.0  # longer than any of these tests: who thaws is not the clock


@pytest.fixture
def pool(places: Places) -> Iterator[ImagePool]:
    with running_pool(places) as pool:
        yield pool


@pytest.fixture
def volumes(pool: ImagePool) -> Iterator[list[Path]]:
    """The mounts of two volumes; thawed after the test, whatever it did."""
    paths = [Path(pool.ensure_volume(wanted(name)).data).parent for name in ("shop_a", "shop_b")]
    yield paths
    thaw_all(paths)


class Writer:
    """Writes a file on a mount, in a thread of its own, because that hangs while the mount is frozen."""

    def __init__(self, mount: Path) -> None:
        self.done = threading.Event()
        self._file = mount / "data" / "file"
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        self._file.write_text("written")
        self.done.set()

    def hangs(self) -> bool:
        return not self.done.wait(0.3)

    def goes_on(self) -> bool:
        return self.done.wait(20)


def is_frozen(mount: Path) -> bool:
    """Asks the kernel, which says EBUSY to who freezes what is frozen; thaws what it froze for this."""
    if run(["fsfreeze", "--freeze", mount], check=False).code:
        return True
    run(["fsfreeze", "--unfreeze", mount])
    return False


def helper(paths: list[Path], seconds: float = LONG_S) -> list[str]:
    return [sys.executable, "-I", "-S", freezer.__file__, f"{seconds:g}", *map(str, paths)]


def wait_frozen(process: Running) -> None:
    assert next(process.lines) == "frozen"


def test_nothing_is_written_within_the_barrier_and_everything_after_it(volumes: list[Path]) -> None:
    with frozen(volumes):
        writers = [Writer(path) for path in volumes]
        assert all(writer.hangs() for writer in writers)
    assert all(writer.goes_on() for writer in writers)


def test_an_error_within_the_barrier_thaws(volumes: list[Path]) -> None:
    with pytest.raises(KeyError), frozen(volumes):
        raise KeyError
    assert not any(map(is_frozen, volumes))


def test_the_killed_parent_takes_its_freeze_with_it(volumes: list[Path]) -> None:
    """The parent is a process of its own that is killed with its barrier open; the pipe to the helper ends."""
    program = (
        "import sys, time; from pathlib import Path; from stampede.blocks.volumes.freezing import frozen\n"
        f"with frozen([Path(one) for one in sys.argv[1:]], {LONG_S}): print('open', flush=True); time.sleep(600)"
    )
    with running([sys.executable, "-c", program, *volumes]) as parent:
        assert next(parent.lines) == "open"
        writer = Writer(volumes[1])
        assert writer.hangs()
        os.kill(parent.pid, signal.SIGKILL)
        assert writer.goes_on()


def test_a_killed_helper_is_thawed_for_and_its_barrier_counts_for_nothing(volumes: list[Path]) -> None:
    writers = []
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(Transient, match="did not hold"))
        stack.enter_context(frozen(volumes, LONG_S))
        killed = children_of(os.getpid())
        assert len(killed) == 1
        os.kill(killed[0], signal.SIGKILL)
        assert is_frozen(volumes[0])
        writers.append(Writer(volumes[0]))
    assert writers[0].goes_on()
    assert not any(map(is_frozen, volumes))


def test_when_both_are_killed_the_next_start_of_the_worker_thaws(pool: ImagePool, volumes: list[Path]) -> None:
    with running(helper(volumes), lifeline=True) as process:
        wait_frozen(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        writer = Writer(volumes[0])
        assert writer.hangs()
        assert [one.mounted for one in pool.bring_back()] == [True, True]
        assert writer.goes_on()
    assert not any(map(is_frozen, volumes))


def test_time_is_up_thaws_though_nobody_asks_for_it(volumes: list[Path]) -> None:
    with running(helper(volumes, 0.5), lifeline=True) as process:
        wait_frozen(process)
        writer = Writer(volumes[0])
        assert process.wait() == freezer.TIME_UP
        assert writer.goes_on()
    assert not any(map(is_frozen, volumes))


def test_a_barrier_that_time_broke_is_an_error(volumes: list[Path]) -> None:
    with pytest.raises(Transient, match="did not hold"), frozen(volumes, 0.2):
        assert Writer(volumes[0]).goes_on()


def test_a_barrier_that_somebody_else_broke_is_an_error(volumes: list[Path]) -> None:
    with pytest.raises(Transient, match="did not hold"), frozen(volumes, LONG_S):
        mounts.thaw(volumes[1])
    assert not any(map(is_frozen, volumes))


def test_a_second_barrier_waits_for_the_end_of_the_first(volumes: list[Path]) -> None:
    with running(helper(volumes[:1]), lifeline=True) as first:
        wait_frozen(first)
        with running(helper(volumes), lifeline=True) as second:
            said: list[str] = []
            reader = threading.Thread(target=lambda: said.append(next(second.lines)))
            reader.start()
            reader.join(0.3)
            assert said == []
            first.close_input()
            reader.join(20)
            assert said == ["frozen"]
            second.close_input()
            assert (first.wait(), second.wait()) == (freezer.TOLD, freezer.TOLD)


def test_sigterm_thaws(volumes: list[Path]) -> None:
    with running(helper(volumes), lifeline=True) as process:
        wait_frozen(process)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == freezer.TOLD
    assert not any(map(is_frozen, volumes))


def test_one_that_cannot_be_frozen_thaws_the_others(volumes: list[Path]) -> None:
    run(["fsfreeze", "--freeze", volumes[1]])
    try:
        with pytest.raises(DaemonError, match="cannot be frozen"), frozen(volumes[::-1][1:] + volumes[1:]):
            pytest.fail("the barrier was never whole")
        assert not is_frozen(volumes[0])
    finally:
        mounts.thaw(volumes[1])


def test_thawing_what_is_not_frozen_or_not_there_is_nothing(volumes: list[Path]) -> None:
    assert thaw_all([*volumes, Path("/nowhere/at/all")]) == []
    run(["fsfreeze", "--freeze", volumes[0]])
    assert thaw_all(volumes) == [volumes[0]]


def test_the_helper_loads_next_to_nothing() -> None:
    said = run([sys.executable, "-I", "-S", "-X", "importtime", freezer.__file__, "1"]).err
    loaded = {line.rsplit("|", 1)[1].strip() for line in said.splitlines()[1:]}
    assert {"fcntl", "select"} <= loaded
    assert not {"threading", "subprocess", "stampede", "site", "re"} & loaded


def test_a_snapshot_of_several_whose_barrier_breaks_leaves_none(
    pool: ImagePool, volumes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stampede.blocks.volumes.snapshots.LIMIT_S", 0.0)
    with pytest.raises((Transient, DaemonError)):
        pool.snapshot(["shop_a", "shop_b"])
    assert pool.snapshots("shop_a") == pool.snapshots("shop_b") == ()
    monkeypatch.undo()
    assert len(pool.snapshot(["shop_a", "shop_b"])) == 2
    assert not any(map(is_frozen, volumes))


def children_of(process: int) -> list[int]:
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == str(process) and b"freezer.py" in cmdline(path.parent)
    ]


def cmdline(process: Path) -> bytes:
    return (process / "cmdline").read_bytes()
