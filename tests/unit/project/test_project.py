"""Promises about the project itself: its links, its lock files, its size, and what the command line loads."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules

import prefect
import pytest

from stampede.programs import run

ROOT = Path(__file__).parents[3]
LINKED = ("flows", "tasks", "blocks", "deployments")
LOCKS = ("requirements.lock", "requirements-dev.lock")
LONGEST_MODULE = 400


@pytest.mark.parametrize("folder", LINKED)
def test_folder_at_the_top_is_part_of_the_package(folder: str) -> None:
    link = ROOT / "stampede" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_package_index(lock: str) -> None:
    assert not re.search(r"://|--index|--find-links", (ROOT / lock).read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_every_direct_dependency(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", (ROOT / lock).read_text(), re.MULTILINE))
    names = {re.split(r"[\[<>=!~ ]", line)[0].replace(".", "-").lower() for line in project["dependencies"]}
    assert names <= locked


def test_no_module_is_too_long_to_read() -> None:
    folders = [ROOT / name for name in (*LINKED, "stampede", "tests", "benchmarks")]
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in folders
        for path in folder.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }
    assert not long


def test_command_line_loads_neither_prefect_nor_the_docker_sdk() -> None:
    loaded = run([sys.executable, "-c", "import sys, stampede.cli; print(*sys.modules)"]).out.split()
    assert not {"prefect", "docker", "pydantic"} & set(loaded)


def test_prefect_finds_the_blocks() -> None:
    assert [entry.value for entry in entry_points(group="prefect.collections", name="stampede")] == [
        "stampede.blocks.types"
    ]


def test_scripts_are_sound_shell() -> None:
    for script in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run", ROOT / "examples" / "images" / "build"]:
        run(["bash", "-n", script])


def test_every_private_module_of_prefect_is_banned() -> None:
    banned = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    private = {f"prefect.{found.name}" for found in iter_modules(prefect.__path__) if found.name.startswith("_")}
    assert private - {"prefect.__main__"} <= set(banned["banned-api"])


@pytest.mark.parametrize("module", ["server.api.server", "_internal.retries", "context", "utilities.callables"])
def test_internals_of_prefect_are_not_imported_by_flows(module: str) -> None:
    words: list[str | Path] = [
        Path(sys.executable).with_name("ruff"),
        "check",
        "--select=TID251",
        "--stdin-filename=flows/x.py",
        "-",
    ]
    refused = run(words, stdin=f"import prefect.{module}\n", cwd=ROOT, check=False)
    assert refused.code == 1
    assert "only the HostWorker and on_host" in refused.out


def test_every_dependency_is_bounded_below_and_above() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    lines = [*project["project"]["dependencies"], *extras, *project["build-system"]["requires"]]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+(\[\w+\])?>=[\d.]+,<[\d.]+", line)] == []
