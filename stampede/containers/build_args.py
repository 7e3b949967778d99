"""Build arguments for `docker buildx`: by name on its command line, by value in its environment. Pure.

Every user of a host can read command lines. But what is in the environment of docker is read by docker itself, and by
the programs that it starts, so names that mean something to them cannot be used.
Sources: `docker buildx build --help`, docs.docker.com/engine/reference/commandline/cli, git(1), ld.so(8), Go's runtime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from stampede.errors import BadInput

_SHORTEST = 4
_READ_BY_DOCKER = re.compile(
    r"PATH|HOME|USER|TERM|TMPDIR|NO_COLOR|SHELL|LD_.*|DOCKER_.*|BUILDX_.*|BUILDKIT_.*|XDG_.*|OTEL_.*|SSL_CERT_.*|SSH_.*"
    r"|EXPERIMENTAL_BUILDKIT_.*|GIT_(DIR|WORK_TREE|CONFIG.*|EXEC_PATH|SSH.*|ASKPASS|TRACE.*|PAGER|EDITOR|INDEX_FILE)"
    r"|GO(DEBUG|GC|MEMLIMIT|MAXPROCS|TRACEBACK|COVERDIR)"
)
# Those of them that BuildKit takes as arguments only, and that docker does not look for in its environment.
_FOR_BUILDKIT = re.compile(
    r"BUILDKIT_(INLINE_CACHE|SYNTAX|CONTEXT_KEEP_GIT_DIR|MULTI_PLATFORM|SANDBOX_HOSTNAME|CACHE_MOUNT_NS|DOCKERFILE_CHECK)"
)


def environment_of(args: Mapping[str, str | None]) -> dict[str, str]:
    """What docker's environment has to hold beside its own. Proxies are meant for docker as well as for the build.

    Raises: BadInput for a name that would change how docker itself works.
    """
    given = {name: value for name, value in args.items() if value is not None}
    for name in given:
        if _READ_BY_DOCKER.fullmatch(name) and not _FOR_BUILDKIT.fullmatch(name):
            raise BadInput(
                f"build.args.{name}: docker buildx reads a variable of that name itself",
                "give the argument another name, in the Dockerfile (ARG) as well",
            )
    return given


def without_values(text: str, args: Mapping[str, str | None]) -> str:
    """A line of a build as it may be logged: BuildKit shows commands with the arguments' values put in."""
    values = sorted((value for value in args.values() if value and len(value) >= _SHORTEST), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, values)), "***", text) if values else text


def refuse_password(context: str) -> None:
    """Returns if the address of a remote context has no password. Raises: BadInput."""
    if "://" in context and urlsplit(context).password:
        raise BadInput(
            "build.context: the address holds a password, which every user of the host could read",
            "clone the repository and name the directory, or let the host log in by an SSH key",
        )
