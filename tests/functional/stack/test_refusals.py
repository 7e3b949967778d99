"""What cannot be done, or must not be: a clear error, its exit code, and nothing touched."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker.models.containers import Container

from stampede.planning.identity import CLUSTER, STACK
from tests.lab.images import BUSYBOX
from tests.lab.installation import Installation
from tests.lab.stacks import LabStack, page, sleeper, web

pytestmark = pytest.mark.functional


@contextmanager
def somebody_listens() -> Iterator[int]:
    """A port that this test's own process has."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        yield listener.getsockname()[1]


def somebody_elses(stack: LabStack, **more: Any) -> Container:
    """A container that runs and that Stampede did not make."""
    return stack.docker.containers.run(BUSYBOX, ["sleep", "600"], init=True, network_mode="none", detach=True, **more)


def test_a_port_that_another_program_has_is_refused_before_anything_starts(stack: LabStack) -> None:
    with somebody_listens() as port:
        stack.write({"web": web("one", port), "db": sleeper()})
        for verb in ("plan", "up"):
            failed = stack.do(verb, code=1)
            assert "compose.yaml:" in failed.err
            assert f"services.web.ports: port *:{port} of service web is in use by" in failed.err
        assert stack.containers() == []
        assert stack.do("history").json[0]["revision"] is None, "nothing was recorded"
    stack.do("up")
    assert page(port) == "one"


def test_an_update_to_a_taken_port_leaves_the_old_one_serving(stack: LabStack, free_port: int) -> None:
    stack.up({"web": web("one", free_port)})
    before = stack.ids()
    with somebody_listens() as port:
        stack.write({"web": web("two", port)})
        stack.do("up", code=1)
        assert page(free_port) == "one"
        assert stack.ids() == before
        stack.write({"web": web("one", free_port)})
        stack.do("up")
    assert page(free_port) == "one"
    assert stack.ids() == before


def test_a_container_name_that_belongs_to_somebody_else_is_refused_and_left_alone(
    stack: LabStack, free_port: int
) -> None:
    name = f"{stack.name}.foreign"
    foreign = somebody_elses(stack, name=name)
    try:
        stack.write({"first": sleeper(), "web": web("one", free_port, container_name=name, depends_on=["first"])})
        refused = stack.do("up", code=6)
        assert name in refused.err
        foreign.reload()
        assert foreign.status == "running"
        assert stack.containers() == [], "refused before anything was started"
    finally:
        foreign.remove(force=True)
    stack.do("up")
    assert page(free_port) == "one"


def test_a_network_or_volume_of_somebody_else_is_not_taken_over(stack: LabStack) -> None:
    network = stack.docker.networks.create(f"{stack.name}_default")
    try:
        stack.write({"db": sleeper()})
        for verb in ("plan", "up"):
            refused = stack.do(verb, code=6)
            assert f"networks.default: a network named {stack.name}_default exists already" in refused.err
        assert untouched(stack)
    finally:
        network.remove()
    volume = stack.docker.volumes.create(f"{stack.name}_data")
    try:
        stack.write({"db": sleeper(volumes=["data:/data"])}, volumes={"data": {}})
        for verb in ("plan", "up"):
            refused = stack.do(verb, code=6)
            assert re.search(rf"compose.yaml:\d+: volumes.data: a volume named {stack.name}_data exists", refused.err)
        assert untouched(stack)
    finally:
        volume.remove()
    stack.do("up")


def test_a_volume_of_another_stack_is_not_taken_over(stack: LabStack) -> None:
    labels = {CLUSTER: stack.installation.places.cluster, STACK: "another"}
    volume = stack.docker.volumes.create(f"{stack.name}_data", labels=labels)
    try:
        stack.write({"db": sleeper(volumes=["data:/data"])}, volumes={"data": {}})
        assert "is not of stack" in stack.do("plan", code=6).err
        assert "is not of stack" in stack.do("up", code=6).err
        assert untouched(stack)
    finally:
        volume.remove()


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_an_external_thing_that_is_missing_is_refused_and_not_made(stack: LabStack, kind: str) -> None:
    name = f"{stack.name}-outside"
    uses: dict[str, Any] = {"networks": ["outside"]} if kind == "network" else {"volumes": ["outside:/data"]}
    declared = {f"{kind}s": {"outside": {"external": True, "name": name}}}
    stack.write({"db": sleeper(**uses)}, **declared)
    for verb in ("plan", "up"):
        refused = stack.do(verb, code=1)
        assert re.search(rf"compose.yaml:\d+: {kind}s.outside: the external {kind} {name} does not", refused.err)
        assert f"docker {kind} create {name}" in refused.err
    assert untouched(stack)
    made = (stack.docker.networks if kind == "network" else stack.docker.volumes).create(name)
    try:
        stack.do("up")
        stack.do("down", "--yes")
        made.reload()
    finally:
        for container in stack.containers():
            container.remove(force=True)
        made.remove()


def untouched(stack: LabStack) -> bool:
    """Whether there is nothing of the stack, and nothing on record as wanted."""
    label = {"label": f"{STACK}={stack.name}"}
    assert stack.containers() == []
    assert stack.docker.networks.list(filters=label) == []
    assert stack.docker.volumes.list(filters=label) == []
    named = [volume.name for volume in stack.docker.volumes.list(filters={"name": stack.name})]
    assert set(named) <= {f"{stack.name}_data"}, "Docker makes what is missing by itself"
    return [entry["revision"] for entry in stack.do("history").json if entry["revision"] is not None] == []


def test_a_running_compose_project_of_the_name_asks_for_adoption(stack: LabStack) -> None:
    labels = {"com.docker.compose.project": stack.name, "com.docker.compose.service": "web"}
    theirs = somebody_elses(stack, labels=labels)
    try:
        stack.write({"web": web()})
        assert "stampede adopt" in stack.do("up", code=6).err
        theirs.reload()
        assert theirs.status == "running"
        assert stack.containers() == []
    finally:
        theirs.remove(force=True)


def test_unknown_names_are_bad_input(stack: LabStack, free_port: int) -> None:
    assert "there is no stack" in stack.installation.run("scale", "web=2", "-p", "no-such-stack", code=2).err
    stack.up({"web": web("one", free_port)})
    assert "its services are web" in stack.do("scale", "wbe=2", code=2).err
    assert "wbe" in stack.do("restart", "wbe", code=2).err
    assert "no earlier revision" in stack.do("rollback", code=2).err
    assert "99" in stack.do("rollback", "99", code=2).err
    assert "web=5" in stack.do("scale", "web", code=2).err
    assert [entry["outcome"] for entry in stack.do("history").json][-1] == "completed"
    assert page(free_port) == "one"


def test_a_missing_image_is_told_before_anything_changes(stack: LabStack, free_port: int) -> None:
    stack.up({"web": web("one", free_port)})
    before = stack.ids()
    missing = sleeper(image="stampede-test/never-made:1", pull_policy="never")
    stack.write({"web": web("two", free_port), "other": missing})
    failed = stack.do("up", code=1)
    assert "stampede-test/never-made:1" in failed.err
    assert stack.ids() == before
    assert stack.do("history").json[0]["revision"] is None
    assert stack.do("plan", code=1).err


def test_a_registry_that_does_not_answer_is_told_before_anything_changes(stack: LabStack, free_port: int) -> None:
    stack.write({"web": web("one", free_port), "other": sleeper(image="127.0.0.1:9/some/app:1")})
    failed = stack.do("up", code=1)
    assert "127.0.0.1:9" in failed.err
    assert stack.containers() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  web:\n    image: x\n    prots: ['80']\n", ("compose.yaml:4", "services.web.prots")),
        ("services:\n  web:\n    image: x\n   command: y\n", ("compose.yaml:4",)),
        ("services:\n  web:\n    image: x\n    depends_on: [db]\n", ("compose.yaml", "db")),
        ("services:\n  web:\n    image: x\n    x-machine: {disk: 1g}\n", ("compose.yaml:4", "not available yet")),
    ],
)
def test_a_malformed_file_is_told_with_file_and_line(stack: LabStack, text: str, said: tuple[str, ...]) -> None:
    (stack.folder / "compose.yaml").write_text(text)
    failed = stack.do("up", code=2)
    assert [word for word in said if word not in failed.err] == [], failed.err
    assert "Traceback" not in failed.err


def test_a_server_that_does_not_answer_has_an_exit_code_of_its_own(installation: Installation, free_port: int) -> None:
    for words in (("ps", "--all"), ("history", "-p", "x"), ("scale", "web=1", "-p", "x")):
        failed = installation.run(*words, "--server", f"http://127.0.0.1:{free_port}", code=5)
        assert "did not answer" in failed.err
        assert "Traceback" not in failed.err


def test_a_network_without_room_or_made_otherwise_is_told_and_a_small_one_is_enough_wave_by_wave(
    stack: LabStack,
) -> None:
    """Four instances where there are five addresses."""

    def write(version: str, parallelism: int = 1, **network: object) -> None:
        update = {"parallelism": parallelism, "order": "start-first", "monitor": "0s"}
        environment = {"VERSION": version}
        web = sleeper(environment=environment, deploy={"replicas": 4, "update_config": update})
        default = {"ipam": {"config": [{"subnet": "10.147.9.0/29"}]}, **network}
        stack.write({"web": web}, networks={"default": default})

    write("one")
    stack.do("up")
    before = stack.ids()
    write("two", parallelism=2)
    refused = stack.do("up", code=2)
    assert "compose.yaml:" in refused.err
    assert "has room for 1 more instances, and this change needs 2 at once" in refused.err
    write("two", driver_opts={"com.docker.network.bridge.enable_icc": "false"})
    refused = stack.do("plan", code=6)
    assert "another driver_opts.com.docker.network.bridge.enable_icc" in refused.err
    assert stack.ids() == before
    write("two")
    assert stack.up()["revision"] == 2
    assert not set(stack.ids()) & set(before)
