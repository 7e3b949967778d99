"""A database as people run one: Debian's PostgreSQL with a health check, and a volume that outlives an update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from stampede.programs import run
from tests.lab.debian import cached
from tests.lab.installation import until
from tests.lab.stacks import LabStack, inside

pytestmark = [pytest.mark.functional, pytest.mark.debian]
IMAGE = "stampede-test/postgres:15"
BIN = "/usr/lib/postgresql/15/bin"
# Users and a folder for the data, which scripts of packages would make: with `extract` none runs.
HOOKS = (
    'printf "%s\\n" root:x:0:0::/root:/bin/sh app:x:1000:1000::/:/bin/sh >"$1/etc/passwd"',
    'mkdir -p "$1/data" && chown 1000:1000 "$1/data" && chmod 700 "$1/data"',
)


def ensure_postgres(client: docker.DockerClient) -> str:
    """Afterwards the image is on the daemon. Returns its name."""

    def make(directory: Path) -> None:
        leave = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
        packages = "--include=postgresql-15,dash,coreutils"
        options = ["--quiet", "--variant=extract", packages, *leave, *(f"--extract-hook={hook}" for hook in HOOKS)]
        run(["mmdebstrap", *options, "bookworm", directory / "tree.tar"], timeout_s=600)

    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        tar = cached("postgresql-15", make) / "tree.tar"
        run(["docker", "import", "--change", "USER 1000", "--change", "VOLUME /data", tar, IMAGE], timeout_s=200)
    return IMAGE


def database(image: str, generation: str) -> dict[str, Any]:
    """A service that makes its database at the first start."""
    make = f"[ -s /data/PG_VERSION ] || {BIN}/initdb -D /data -U app --locale=C >/dev/null"
    return {
        "image": image,
        "command": ["sh", "-c", f"{make}; exec {BIN}/postgres -D /data -k /tmp -h '*'"],
        "environment": {"GENERATION": generation},
        "volumes": ["data:/data"],
        "stop_signal": "SIGINT",
        "healthcheck": {"test": ["CMD", f"{BIN}/pg_isready", "-h", "/tmp"], "interval": "1s", "start_period": "60s"},
        "deploy": {"update_config": {"order": "stop-first", "monitor": "1s"}},
    }


def sql(stack: LabStack, words: str) -> str:
    (container,) = stack.containers("db", everything=False)
    return inside(container, f"{BIN}/psql", "-h", "/tmp", "-U", "app", "-d", "postgres", "-Atqc", words)


def test_a_database_keeps_its_data_over_an_update(stack: LabStack) -> None:
    image = ensure_postgres(stack.docker)
    stack.up({"db": database(image, "one")}, volumes={"data": {}})
    sql(stack, "create table held (word text); insert into held values ('kept')")
    before = stack.ids("db")
    try:
        stack.up({"db": database(image, "two")}, volumes={"data": {}})
        assert stack.ids("db") != before
        assert sql(stack, "select word from held") == "kept"
        until(lambda: [one["health"] for one in stack.ps()] == ["healthy"], "Docker says so, too")
    finally:
        stack.do("down", "--volumes", "--yes")
