"""Managed volumes of a stack: what x-size, x-snapshots, x-backups and x-hooks do on a real host."""

from __future__ import annotations

import pytest

from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

MIB = 1 << 20


def database(**more: object) -> dict[str, dict[str, object]]:
    return {"db": sleeper(volumes=["data:/data"], **more)}


def test_a_volume_with_a_size_is_managed(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    container = stack.containers("db")[0]
    inside(container, "sh", "-c", "echo kept >/data/file")
    blocks = int(inside(container, "sh", "-c", "df -k /data | tail -1").split()[1])
    assert 40 * 1024 < blocks <= 64 * 1024
    assert inside(container, "ls", "-A", "/data") == "file"
    made = stack.docker.volumes.get(f"{stack.name}_data")
    assert made.attrs["Options"]["o"] == "bind"
    assert made.attrs["Options"]["device"].startswith(str(stack.installation.places.volumes))


def test_what_fills_its_volume_is_told_and_no_other_notices(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    code, said = stack.containers("db")[0].exec_run(["dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=64"])
    assert code == 1
    assert b"No space left on device" in said


def test_a_volume_grows_with_its_file_and_never_shrinks(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    stack.do("down")
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    assert int(inside(stack.containers("db")[0], "sh", "-c", "df -k /data | tail -1").split()[1]) > 40 * 1024
    stack.write(database(), volumes={"data": {"x-size": "32M"}})
    said = stack.do("up", code=6).err
    assert "compose.yaml:" in said
    assert "volumes.data.x-size" in said
    assert "never shrinks" in said


def test_a_volume_that_has_data_never_becomes_a_managed_one_in_silence(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {}})
    inside(stack.containers("db")[0], "sh", "-c", "echo kept >/data/file")
    stack.write(database(), volumes={"data": {"x-size": "32M"}})
    said = stack.do("up", code=6).err
    assert f"stampede volume adopt {stack.name}/data" in said
    assert inside(stack.containers("db")[0], "cat", "/data/file") == "kept"


def test_down_keeps_the_data_and_with_volumes_it_is_gone(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    inside(stack.containers("db")[0], "sh", "-c", "echo kept >/data/file")
    stack.do("down")
    stack.up()
    assert inside(stack.containers("db")[0], "cat", "/data/file") == "kept"
    stack.do("down", "--volumes", "--yes")
    assert not (stack.installation.places.volumes / f"{stack.name}_data").exists()
    assert stack.docker.volumes.list(filters={"name": f"{stack.name}_data"}) == []
