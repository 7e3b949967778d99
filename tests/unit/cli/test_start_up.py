"""The command starts fast, and imports neither Prefect nor an SDK, whatever it does."""

from __future__ import annotations

import json
import resource
import sys

import pytest
from typer.testing import CliRunner

from stampede.cli.app import app
from stampede.programs import run

HELP_WITHIN_S = 0.3  # of the processor, which is 0.14 s where it is quiet
EVERY_MODULE = (
    "import pkgutil, json, sys, stampede.cli, stampede.client\n"
    "for package in (stampede.cli, stampede.client):\n"
    "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
    "        __import__(module.name)\n"
    "import stampede.control_plane\n"
    "print(json.dumps(sorted(sys.modules)))\n"
)


def test_help_is_there_at_once() -> None:
    took: list[float] = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run([sys.executable, "-m", "stampede", "--help"])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < HELP_WITHIN_S


def test_nothing_below_the_command_imports_prefect_or_an_sdk() -> None:
    modules = json.loads(run([sys.executable, "-c", EVERY_MODULE]).out)
    assert not {"prefect", "docker", "fastapi", "sqlalchemy", "stampede.flows", "stampede.tasks"} & set(modules)


def test_help_imports_no_http_and_no_models() -> None:
    words = "import sys, json, stampede.cli; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(run([sys.executable, "-c", words]).out)
    assert not {"httpx", "pydantic", "rich"} & set(modules)


def test_httpx_is_whole_though_its_own_command_line_was_left_out() -> None:
    words = "import stampede.cli.lean_httpx, httpx; httpx.Client().close(); print(httpx.Timeout(1.0))"
    assert "Timeout" in run([sys.executable, "-c", words]).out


@pytest.mark.parametrize("command", ["rollback -p shop", "ps -p shop", "unlock -p shop"])
def test_a_command_imports_httpx_without_its_own_command_line(command: str) -> None:
    words = (
        "import sys, json, stampede.cli\n"
        f"sys.argv = 'stampede {command} --server http://127.0.0.1:1'.split()\n"
        "try:\n    stampede.cli.main()\nexcept SystemExit:\n    print(json.dumps(sorted(sys.modules)))\n"
    )
    modules = json.loads(run([sys.executable, "-c", words]).out)
    assert "httpx" in modules
    assert not {"httpx._main", "pygments"} & set(modules)


COMMANDS = sorted(each.name for each in app.registered_commands if each.name)


@pytest.mark.parametrize("command", [*COMMANDS, "server", "store", "store key", "volume", "snapshot", "backup"])
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert (shown.exit_code, shown.output.startswith("Usage")) == (0, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_shell_completes_the_options_of_every_command(command: str) -> None:
    asked = {"_STAMPEDE_COMPLETE": "complete_bash", "COMP_WORDS": f"stampede {command} --", "COMP_CWORD": "2"}
    shown = CliRunner().invoke(app, [], env=asked, prog_name="stampede")
    assert "--help" in shown.output.split()
