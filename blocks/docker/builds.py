"""Building images: with `docker buildx` where it is installed, else with the classic builder through the SDK."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.utils import build as build_context

from stampede import programs
from stampede.blocks.docker.client import NO_SPACE, NO_SPACE_SAID, Client, daemon_errors, translated
from stampede.containers.build_args import environment_of, refuse_password, without_values
from stampede.containers.image_names import BUILT_LABEL
from stampede.errors import BadInput, DaemonError
from stampede.stackfile.models import Build

_STEP = re.compile(r"^Step \d+/\d+ : ")
_BUILDX_STEP = re.compile(r"^ > (.+):$", re.MULTILINE)
_BUILDX_ERROR = re.compile(r"^ERROR: (.+)\Z", re.MULTILINE | re.DOTALL)
_BUILD_TIMEOUT_S = 3600.0
_REMOTE = re.compile(r"^(https?://|git://|git@|ssh://|github\.com/)")

Progress = Callable[[str], None]


def build_image(client: Client, build: Build, tag: str, progress: Progress) -> None:
    """Afterwards `tag` and the file's other tags are what was built. Raises: BadInput, DaemonError."""
    _check(build)

    def tell(line: str) -> None:
        progress(without_values(line, build.args))

    if has_buildx():
        _build_with_buildx(build, tag, tell)
    else:
        _build_classically(client, build, tag, tell)
        for extra in build.tags:
            repository, _, name = extra.partition(":")
            with daemon_errors(f"tag {tag} as {extra}"):
                client.api.tag(tag, repository, name or "latest")


def prune_cache(client: Client, unused_for_s: float) -> int:
    """See contract.Images."""
    with daemon_errors("prune the build cache"):
        if not client.api.images(filters={"label": BUILT_LABEL}):
            return 0
        said = client.api.prune_builds(filters={"until": f"{unused_for_s:.0f}s"})
    return int(said.get("SpaceReclaimed") or 0)


def has_buildx() -> bool:
    """Whether the docker command is there and has the plug-in."""
    try:
        return programs.run(["docker", "buildx", "version"], check=False).code == 0
    except programs.ProgramMissing:
        return False


def buildx_argv(build: Build, tag: str, dockerfile: str | None) -> list[str]:
    """The command that builds and loads the image; `dockerfile` `-` means that it comes by stdin.

    Build arguments are only named: their values are in the environment (`environment_of`).
    """
    argv = ["docker", "buildx", "build", "--load", "--progress", "plain", "--tag", tag]
    for extra in build.tags:
        argv += ["--tag", extra]
    for flag, value in (("--file", dockerfile), ("--target", build.target), ("--network", build.network)):
        argv += [flag, value] if value else []
    for name in sorted(build.args):
        argv += ["--build-arg", name]
    for name, value in sorted({**build.labels, BUILT_LABEL: tag}.items()):
        argv += ["--label", f"{name}={value}"]
    for host in build.extra_hosts:
        argv += ["--add-host", host.replace("=", ":", 1)]
    for source in build.cache_from:
        argv += ["--cache-from", source]
    if build.platforms:
        argv += ["--platform", ",".join(build.platforms)]
    argv += ["--shm-size", str(build.shm_size)] if build.shm_size else []
    argv += (["--no-cache"] if build.no_cache else []) + (["--pull"] if build.pull else [])
    return [*argv, build.context]


def _check(build: Build) -> None:
    if _REMOTE.match(build.context):
        return
    context = Path(build.context)
    if not context.is_dir():
        raise BadInput(f"the build context {context} is not a directory on this host", "check build.context")
    if build.dockerfile_inline is None and not _dockerfile(build).is_file():
        raise BadInput(f"{_dockerfile(build)} does not exist", "check build.dockerfile")


def _dockerfile(build: Build) -> Path:
    return Path(build.context) / (build.dockerfile or "Dockerfile")


def _build_with_buildx(build: Build, tag: str, progress: Progress) -> None:
    inline, remote = build.dockerfile_inline, _REMOTE.match(build.context)
    dockerfile = "-" if inline is not None else (build.dockerfile if remote else str(_dockerfile(build)))
    refuse_password(build.context)
    argv, env = buildx_argv(build, tag, dockerfile), {**os.environ, **environment_of(build.args)}
    done = programs.run(argv, stdin=inline or "", env=env, timeout_s=_BUILD_TIMEOUT_S, check=False)
    for line in done.err.splitlines():
        progress(line)
    if done.code:
        raise _failed_in_buildx(tag, without_values(done.err, build.args))


def _build_classically(client: Client, build: Build, tag: str, progress: Progress) -> None:
    if _REMOTE.match(build.context):
        _follow(_start_build(client, build, tag, path=build.context, dockerfile=build.dockerfile), build, tag, progress)
        return
    archive, name = _context(build)
    with archive:
        lines = _start_build(client, build, tag, fileobj=archive, custom_context=True, dockerfile=name)
        _follow(lines, build, tag, progress)


def _follow(lines: Iterator[dict[str, Any]], build: Build, tag: str, progress: Progress) -> None:
    """Returns when the build has ended well. Raises: DaemonError with the step that failed."""
    step, full = "before its first step", ""
    with daemon_errors(f"build {tag}"):
        for line in lines:
            if "error" in line:
                raise _failed(tag, step, without_values(line["error"], build.args) + full)
            text = str(line.get("stream") or line.get("status") or "").rstrip()
            if _STEP.match(text):
                step = text
            if text:
                progress(text)
            if NO_SPACE.search(text):  # said by a program of the build, which then only ends with its exit code
                full = f"; {NO_SPACE_SAID}"


def _start_build(client: Client, build: Build, tag: str, **source: Any) -> Iterator[dict[str, Any]]:
    """The daemon's answer as it comes. The classic builder builds for the host's platform, or one other."""
    lines: Iterator[dict[str, Any]]
    with daemon_errors(f"build {tag}"):
        try:
            lines = client.api.build(
                **source,
                tag=tag,
                decode=True,
                rm=True,
                forcerm=True,
                nocache=build.no_cache,
                pull=build.pull,
                buildargs=dict(build.args) or None,
                labels={**build.labels, BUILT_LABEL: tag},
                target=build.target or None,
                network_mode=build.network,
                cache_from=list(build.cache_from) or None,
                shmsize=build.shm_size,
                extra_hosts=_extra_hosts(build),
                platform=build.platforms[0] if build.platforms else None,
            )
        except APIError as error:
            raise _failed(tag, "before its first step", str(error.explanation or error)) from error
    return lines


def _context(build: Build) -> tuple[Any, str]:
    """The context as an archive without what .dockerignore names, and the Dockerfile's name in it.

    A Dockerfile that stands outside the context, or in the stack file, is put into the archive under a name of its own.
    """
    archive: Any = build_context.tar  # its stub wants a path-like object, which it cannot take
    root = Path(build.context)
    ignore = root / ".dockerignore"
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    exclude = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    dockerfile = _dockerfile(build)
    if build.dockerfile_inline is None and dockerfile.resolve().is_relative_to(root.resolve()):
        name = str(dockerfile.resolve().relative_to(root.resolve()))
        return archive(str(root), exclude=exclude, dockerfile=(name, None)), name
    text = dockerfile.read_text() if build.dockerfile_inline is None else build.dockerfile_inline
    name = f".dockerfile.{secrets.token_hex(8)}"
    return archive(str(root), exclude=exclude, dockerfile=(name, text)), name


def _extra_hosts(build: Build) -> dict[str, str] | None:
    pairs = (host.replace("=", ":", 1).partition(":") for host in build.extra_hosts)
    return {name: address for name, _, address in pairs} or None


def _failed_in_buildx(tag: str, said: str) -> DaemonError:
    """It ends with the failing step's last lines between rules, and a line of what went wrong."""
    step, complaint = _BUILDX_STEP.search(said), _BUILDX_ERROR.search(said)
    if complaint is None:
        return translated(f"build {tag}", said[-2000:])
    full = f"; {NO_SPACE_SAID}" if NO_SPACE.search(said) else ""
    return _failed(tag, step[1] if step else "before its first step", complaint[1].strip() + full)


def _failed(tag: str, step: str, said: str) -> DaemonError:
    error = translated(f"build {tag}", said)
    return type(error)(f"{error.message} (at: {json.dumps(step)})", error.hint or "the lines above show the build")
