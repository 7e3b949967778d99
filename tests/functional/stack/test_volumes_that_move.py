"""Data that goes from a managed volume to one of Docker's own, and the other way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stampede.programs import run
from stampede.stackfile.reference import reference_program
from tests.lab.installation import until
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

FILL = "dd if=/dev/urandom of=/data/big bs=1M count=12 2>/dev/null; echo first >/data/file; ln /data/file /data/link"
COUNT = "n=$$(cat /data/n || echo 0); while :; do echo $$((n=n+1)) >/data/n.new; mv /data/n.new /data/n; done"


@pytest.fixture
def out(stack: LabStack) -> Iterator[Path]:
    """Where the stack is ejected to; afterwards nothing of the project is left."""
    directory = stack.folder / "out"
    yield directory
    if (directory / "compose.yaml").exists():
        run([reference_program(), "-f", directory / "compose.yaml", "down"])


def database(**more: Any) -> dict[str, dict[str, Any]]:
    return {"db": sleeper(command=["sh", "-c", COUNT], volumes=["data:/data"], **more)}


def of_project(stack: LabStack, service: str) -> Any:
    labels = [f"com.docker.compose.project={stack.name}", f"com.docker.compose.service={service}"]
    (found,) = stack.docker.containers.list(filters={"label": labels}, ignore_removed=True)
    return found


def test_the_data_of_a_managed_volume_goes_along_and_the_original_stays(stack: LabStack, out: Path) -> None:
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    container = stack.containers("db")[0]
    inside(container, "sh", "-c", FILL)
    digest = inside(container, "sha256sum", "/data/big")
    assert any("original stays in the pool" in c["reason"] for c in stack.do("eject", "--dry-run").json["changes"])
    stack.do("eject", "--to", str(out), "--yes")
    theirs = of_project(stack, "db")
    assert [mount["Name"] for mount in theirs.attrs["Mounts"]] == [f"{stack.name}_data-ejected"]
    assert inside(theirs, "sha256sum", "/data/big") == digest
    assert inside(theirs, "sh", "-c", "cat /data/file; stat -c %h /data/file").split() == ["first", "2"]
    assert (stack.installation.places.volumes / f"{stack.name}_data/data/big").stat().st_size == 12 << 20


def test_killed_while_it_copies_and_run_again_nothing_written_is_lost(stack: LabStack, out: Path) -> None:
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    inside(stack.containers("db")[0], "sh", "-c", FILL)
    ejecting = stack.begin("eject", "--to", str(out), "--yes")
    until(lambda: stack.docker.volumes.list(filters={"name": f"{stack.name}_data-ejected"}), "copying has begun")
    stack.installation.kill("worker")
    stack.end(ejecting)
    last = (stack.installation.places.volumes / f"{stack.name}_data/data/n").read_text()
    stack.installation.until_healthy()
    copied = Path(stack.docker.volumes.get(f"{stack.name}_data-ejected").attrs["Mountpoint"])
    assert (copied / "file").read_text() == "first\n"
    assert int((copied / "n").read_text()) >= int(last) > 0


def number(stack: LabStack) -> int:
    return int(inside(stack.containers("db", everything=False)[0], "cat", "/data/n"))


def test_a_volume_of_dockers_own_becomes_a_managed_one_with_its_data(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {}})
    inside(stack.containers("db")[0], "sh", "-c", FILL)
    name = f"{stack.name}_data"
    stack.write(database(), volumes={"data": {"x-size": "64M"}})
    assert "stampede volume adopt" in stack.do("up", code=6).err
    planned = stack.do("volume", "adopt", f"{stack.name}/data", "--dry-run").json
    assert [(c["action"], c["name"]) for c in planned["changes"]][:2] == [
        ("adopt", f"{stack.name}/data"),
        ("stop", f"{stack.name}-db-1"),
    ]
    assert stack.do("volume", "ls", stack.name).json == []
    small = stack.do("volume", "adopt", f"{stack.name}/data", "--size", "16M", "--yes", code=6).err
    assert "are too little for" in small

    before = number(stack)
    stack.do("volume", "adopt", f"{stack.name}/data", "--yes")
    assert number(stack) >= before > 0
    said = inside(stack.containers("db")[0], "sh", "-c", "cat /data/file; stat -c %h /data/file")
    assert said.split() == ["first", "2"]
    assert stack.docker.volumes.get(name).attrs["Options"]["o"] == "bind"
    original = Path(stack.docker.volumes.get(f"{name}-original").attrs["Mountpoint"])
    assert (original / "file").read_text() == "first\n"
    assert number(stack) > int((original / "n").read_text())
    assert stack.do("up").json["changed"] == []
    assert stack.do("volume", "adopt", f"{stack.name}/data", "--yes").json["changed"] == []
    assert stack.do("snapshot", "create", f"{stack.name}/data").json["snapshots"]


def test_an_adopted_volume_is_not_adopted_over_by_a_later_one_of_its_name(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {}})
    inside(stack.containers("db")[0], "sh", "-c", FILL)
    name = f"{stack.name}_data"
    stack.write(database(), volumes={"data": {"x-size": "64M"}})
    stack.do("volume", "adopt", f"{stack.name}/data", "--yes")
    last = number(stack)
    stack.do("down")
    stack.docker.volumes.get(name).remove()
    stack.docker.volumes.create(name, labels={"com.docker.compose.project": stack.name})
    for asked in ("--dry-run", "--yes"):
        refused = stack.do("volume", "adopt", f"{stack.name}/data", "--size", "64M", asked, code=6).err
        assert "is a managed volume and one of Docker's own at once" in refused
    stack.docker.volumes.get(name).remove()
    stack.do("volume", "adopt", f"{stack.name}/data", "--size", "64M", "--yes")
    stack.up()
    assert number(stack) >= last > 0
    assert inside(stack.containers("db")[0], "cat", "/data/file") == "first"


def test_an_adoption_whose_worker_is_killed_again_and_again_ends_well(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {}})
    inside(stack.containers("db")[0], "sh", "-c", FILL)
    name = f"{stack.name}_data"
    adopting = stack.begin("volume", "adopt", f"{stack.name}/data", "--size", "64M", "--yes")
    mount = stack.installation.places.volumes / name / "data"
    for moment in (mount.exists, lambda: not stack.containers("db", everything=False)):
        until(moment, "the adoption has come so far")
        stack.installation.kill("worker")
    stack.end(adopting)
    original = Path(stack.docker.volumes.get(f"{name}-original").attrs["Mountpoint"])
    assert number(stack) >= int((original / "n").read_text()) > 0
    assert (mount / "file").read_text() == "first\n"
    assert stack.do("up").json["changed"] == []
