"""Which files the reference reads when none is named. It finds them itself; we want to know their names for errors.

Source: https://docs.docker.com/compose/how-tos/environment-variables/envvars/ (COMPOSE_FILE, COMPOSE_PATH_SEPARATOR).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = tuple(f"{stem}.override.{end}" for stem in ("compose", "docker-compose") for end in ("yml", "yaml"))


def default_files(cwd: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of COMPOSE_FILE (from the environment or .env), else compose.yaml here or in a directory above."""
    if named := environ.get("COMPOSE_FILE") or dotenv(cwd / ".env").get("COMPOSE_FILE"):
        separator = environ.get("COMPOSE_PATH_SEPARATOR") or ":"
        return tuple(Path(word) for word in named.split(separator) if word)
    for directory in (cwd, *cwd.parents):
        for name in NAMES:
            if (directory / name).is_file():
                override = (directory / name for name in OVERRIDES)
                found = (directory / name, *[file for file in override if file.is_file()][:1])
                return tuple(file.relative_to(cwd) if directory == cwd else file for file in found)
    return ()


def dotenv(file: Path) -> dict[str, str]:
    """NAME=value lines of an env file, as far as simple ones go; none of a file that cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
