"""The `docker` program: which daemon it shall talk to, and the arguments it gets."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from stampede.cli.tunnel import SshTarget
from stampede.control_plane.services import read_env
from stampede.control_plane.settings import worker_env
from stampede.errors import StampedeError
from stampede.places import Places

HOST_VARIABLE = "STAMPEDE_HOST"


def environment_for(host: str, server: str | None) -> dict[str, str]:
    """The environment in which `docker` reaches the daemon of `host`: this machine's, or another's over ssh."""
    if host == name_of_this_host(Places.of_environment()):
        return dict(os.environ)
    # A control plane behind ssh knows its own host by the name that host gives itself, which need not resolve here.
    target = SshTarget.parse(server) if server and server.startswith("ssh://") else SshTarget(host)
    login = f"{target.user}@" if target.user else ""
    port = f":{target.port}" if target.port else ""
    return {**os.environ, "DOCKER_HOST": f"ssh://{login}{target.host}{port}"}


def name_of_this_host(places: Places) -> str:
    """What the worker of this machine calls it: STAMPEDE_HOST, as it is now or was when the worker was set up."""
    try:
        settings = read_env(worker_env(places))
    except (FileNotFoundError, PermissionError):  # No worker, or not ours to read.
        settings = {}
    return settings.get(HOST_VARIABLE) or os.environ.get(HOST_VARIABLE) or socket.gethostname()


def logs_argv(container: str, *, follow: bool, tail: str, since: str, timestamps: bool) -> list[str]:
    """`docker logs` of one container."""
    words = ["docker", "logs", "--tail", tail]
    words += ["--follow"] if follow else []
    words += ["--since", since] if since else []
    words += ["--timestamps"] if timestamps else []
    return [*words, container]


def exec_argv(
    container: str, command: Sequence[str], *, user: str, workdir: str, env: Sequence[str], tty: bool
) -> list[str]:
    """`docker exec` of one command, with a terminal when there is one on both ends."""
    words = ["docker", "exec", "--interactive"]
    words += ["--tty"] if tty and sys.stdin.isatty() and sys.stdout.isatty() else []
    words += ["--user", user] if user else []
    words += ["--workdir", workdir] if workdir else []
    for variable in env:
        words += ["--env", variable]
    return [*words, container, *command]


def replace_process(argv: Sequence[str], host: str, server: str | None) -> NoReturn:
    """Become that program, so that terminal, signals and exit code are its own. Raises: StampedeError."""
    environment: Mapping[str, str] = environment_for(host, server)
    if shutil.which(argv[0], path=environment.get("PATH")) is None:
        raise StampedeError("the docker program is not installed here", "exec and logs need it: apt install docker.io")
    sys.stdout.flush()
    os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606  an argument list, no shell
