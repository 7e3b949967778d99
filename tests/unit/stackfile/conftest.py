"""A directory to write stack files into, and one call that loads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stampede.stackfile import LoadedStack, load_stack

PROGRAM_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Project:
    """A directory with files of a project."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, text: str) -> Path:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return Path(name)

    def load(
        self, text: str | None = None, *files: str, environ: dict[str, str] | None = None, **how: Any
    ) -> LoadedStack:
        """Load `text` as compose.yaml, and further files after it."""
        if text is not None:
            self.write("compose.yaml", text)
        named = [Path("compose.yaml"), *map(Path, files)] if text is not None else [Path(file) for file in files]
        return load_stack(named, cwd=self.directory, environ=PROGRAM_ENVIRONMENT | (environ or {}), **how)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
