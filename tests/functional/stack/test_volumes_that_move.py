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
COUNT = "while :; do echo $$((n=n+1)) >/data/n.new; mv /data/n.new /data/n; done"


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
    assert int((copied / "n").read_text()) != 0
    assert int(last) > 0
