"""Keys of the process and its surroundings, seen from inside and in what Docker says."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


def test_command(web: Web) -> None:
    project = web("command: [sleep, '601']")
    assert project.sh("tr '\\0' ' ' </proc/1/cmdline") == "sleep 601 "


def test_entrypoint(web: Web) -> None:
    project = web("entrypoint: [sleep]\ncommand: ['602']")
    assert project.sh("tr '\\0' ' ' </proc/1/cmdline") == "sleep 602 "


def test_environment(web: Web) -> None:
    project = web("environment: {GREETING: 'hello $$HOME', PATH: /bin:/extra}")
    assert project.sh('echo "$GREETING $PATH"') == "hello $HOME /bin:/extra"


def test_working_dir(web: Web) -> None:
    assert web("working_dir: /www").sh("pwd") == "/www"


def test_user(web: Web) -> None:
    assert web("user: www").sh("id -un; id -g") == "www\n1000"


def test_group_add(web: Web) -> None:
    assert web("user: www\ngroup_add: ['4242']").sh("id -G") == "1000 4242"


def test_hostname_and_domainname(web: Web) -> None:
    project = web("hostname: box\ndomainname: shop.example")
    assert project.sh("hostname") == "box"
    assert "box.shop.example" in project.sh("cat /etc/hosts")


def test_container_name(web: Web, stack_name: str) -> None:
    assert web(f"container_name: {stack_name}-fixed").container().name == f"{stack_name}-fixed"


def test_labels(web: Web) -> None:
    labels = web("labels: {team: blue}").container().labels
    assert labels["team"] == "blue"
    assert labels["stampede.service"] == "web"


def test_annotations_are_sent_to_daemons_that_keep_them(web: Web) -> None:
    """From API 1.43 on."""
    project = web("annotations: {team: blue}")
    old = tuple(map(int, project.client.api.api_version.split("."))) < (1, 43)
    assert project.host_config().get("Annotations") == (None if old else {"team": "blue"})


def test_tty_and_stdin_open(web: Web) -> None:
    project = web("tty: true\nstdin_open: true\ncommand: [sh]")
    assert project.sh("readlink /proc/1/fd/0") == "/dev/pts/0"
    time.sleep(0.3)
    project.container().reload()
    assert project.container().status == "running"


def test_init(web: Web) -> None:
    assert "init" in web("init: true").sh("tr '\\0' ' ' </proc/1/cmdline")


def test_read_only(web: Web) -> None:
    assert web("read_only: true").fails("touch /www/x")


def test_stop_signal(web: Web) -> None:
    waits = "command: [sh, -c, 'trap \"exit 5\" USR1; while :; do sleep 0.1; done']"
    project = web(f"stop_signal: SIGUSR1\n{waits}")
    time.sleep(0.5)
    project.docker.containers.stop(project.container().id)
    assert project.inspect()["State"]["ExitCode"] == 5


def test_stop_grace_period(project: Project) -> None:
    project.up("""
        services:
          web: {image: "stampede-test/busybox:1", command: [sh, -c, "trap '' TERM; sleep 600"], stop_grace_period: 1s}
        """)
    time.sleep(0.3)
    begun = time.monotonic()
    project.docker.containers.stop(project.container().id)
    assert 0.9 < time.monotonic() - begun < 6
    assert project.inspect()["State"]["ExitCode"] == 137


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        ("restart: 'no'", {"Name": "no", "MaximumRetryCount": 0}),
        ("restart: always", {"Name": "unless-stopped", "MaximumRetryCount": 0}),
        ("restart: on-failure:4", {"Name": "on-failure", "MaximumRetryCount": 4}),
        ("restart: unless-stopped", {"Name": "unless-stopped", "MaximumRetryCount": 0}),
        ("", {"Name": "on-failure", "MaximumRetryCount": 0}),
    ],
)
def test_restart(web: Web, said: str, policy: dict[str, object]) -> None:
    assert web(said, start=False).host_config()["RestartPolicy"] == policy


def test_a_crash_comes_back_when_nothing_is_said(web: Web) -> None:
    project = web("command: [sh, -c, 'sleep 0.2; exit 3']")
    time.sleep(1.5)
    assert project.inspect()["RestartCount"] >= 1


def test_exit_0_is_the_end_when_nothing_is_said(web: Web) -> None:
    project = web("command: ['true']")
    assert project.docker.containers.wait_exit(project.container().id, 10) == 0
    time.sleep(0.5)
    assert project.inspect()["RestartCount"] == 0


def test_logging(web: Web) -> None:
    """Rotated unless the file says otherwise."""
    assert web().host_config()["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    project = web("logging: {driver: local, options: {max-size: 1m, max-file: '2'}}")
    assert project.host_config()["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}}
    assert web("logging: {driver: none}").host_config()["LogConfig"]["Type"] == "none"
