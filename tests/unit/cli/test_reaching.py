"""Which instances a command means, and how the `docker` program is asked for them."""

from __future__ import annotations

import socket

import pytest

from stampede.cli.docker_program import environment_for, exec_argv, logs_argv
from stampede.cli.selection import select_instances, select_one
from stampede.cli.tunnel import SshTarget
from stampede.client import InstanceView
from stampede.errors import BadInput, UnknownName


def instance(service: str, slot: int, state: str = "running") -> InstanceView:
    return InstanceView(
        stack="shop",
        service=service,
        name=f"shop-{service}-{slot}-abc",
        slot=slot,
        kind="container",
        host="h1",
        state=state,
        health="none",
        image="x",
        revision=1,
    )


SHOP = [instance("web", 1, "exited"), instance("web", 2), instance("web", 3), instance("db", 1)]


def test_a_service_means_all_its_instances_and_a_slot_one() -> None:
    assert [each.slot for each in select_instances(SHOP, "shop", ["web"])] == [1, 2, 3]
    assert [each.slot for each in select_instances(SHOP, "shop", ["web.2"])] == [2]
    assert select_instances(SHOP, "shop", ["shop-web-2"]) == select_instances(SHOP, "shop", ["web.2"])
    assert len(select_instances(SHOP, "shop", ["web", "web.2"])) == 3
    assert select_instances(SHOP, "shop", []) == SHOP


def test_an_unknown_service_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="db, web"):
        select_instances(SHOP, "shop", ["wob"])
    with pytest.raises(UnknownName, match="nothing of shop runs"):
        select_instances([], "shop", [])


def test_exec_takes_the_first_that_runs() -> None:
    assert select_one(SHOP, "shop", "web").slot == 2
    with pytest.raises(BadInput, match="exited"):
        select_one(SHOP, "shop", "web.1")


@pytest.mark.usefixtures("places")
def test_another_host_is_reached_over_ssh_and_this_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAMPEDE_HOST", raising=False)
    assert environment_for("h2", "https://stampede.example")["DOCKER_HOST"] == "ssh://h2"
    assert environment_for("h1", "ssh://root@10.0.0.5:2222")["DOCKER_HOST"] == "ssh://root@10.0.0.5:2222"
    assert environment_for("h2", None)["DOCKER_HOST"] == "ssh://h2"
    assert "DOCKER_HOST" not in environment_for(socket.gethostname(), "https://stampede.example")
    monkeypatch.setenv("STAMPEDE_HOST", "h3")
    assert "DOCKER_HOST" not in environment_for("h3", None)


def test_docker_is_given_argument_lists() -> None:
    assert logs_argv("c", follow=True, tail="5", since="10m", timestamps=False) == [
        "docker", "logs", "--tail", "5", "--follow", "--since", "10m", "c",
    ]  # fmt: skip
    assert exec_argv("c", ["ls", "-l"], user="app", workdir="/", env=["A=b"], tty=False) == [
        "docker", "exec", "--interactive", "--user", "app", "--workdir", "/", "--env", "A=b", "c", "ls", "-l",
    ]  # fmt: skip


@pytest.mark.parametrize("address", ["ssh://", "ssh://-oProxyCommand=x", "ssh://h:none", "ssh://-x@h", "h1"])
def test_an_ssh_address_that_is_none_or_an_option_is_bad_input(address: str) -> None:
    with pytest.raises(BadInput):
        SshTarget.parse(address)


def test_an_ssh_address_names_user_and_port() -> None:
    assert SshTarget.parse("ssh://root@h1:2222") == SshTarget("h1", "root", 2222)
    assert SshTarget.parse("ssh://root@h1:2222").words[-5:] == ["-l", "root", "-p", "2222", "h1"]
