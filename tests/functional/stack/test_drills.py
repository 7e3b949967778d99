"""Drills of backups: the app runs on restored data, where nothing gets out, and nothing of that is left."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from stampede.planning.identity import STACK
from tests.lab.installation import Installation
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def offsite(installation: Installation, seaweedfs: SeaweedFS) -> Iterator[str]:
    """A store whose key is confirmed."""
    key = str(installation.root / "drills.key")
    where = (f"s3://{seaweedfs.bucket()}/drills", "--endpoint", seaweedfs.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        installation.run("store", "add", "drills", *where, "--key-out", key)
    installation.run("store", "key", "confirm", "drills", "--key-file", key)
    yield "drills"
    installation.run("store", "rm", "drills", "--yes")


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port of every address of this host, and what arrives there."""
    arrived: list[bytes] = []
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    arrived.append(connection.recv(100))

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], arrived
        over.set()
        thread.join()


class LogSocket:
    """A socket in a directory of this host, like that of a daemon; `logger` of busybox talks to one at /dev/log."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "daemon.sock"
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._server.bind(str(self.path))
        self._server.setblocking(False)

    def arrived(self) -> list[bytes]:
        """Since it was asked the last time."""
        messages: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                messages.append(self._server.recv(1000))
        return messages

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def log_socket() -> Iterator[LogSocket]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, closing(LogSocket(Path(folder))) as made:
        yield made


def left_of_drills(stack: LabStack) -> list[str]:
    label = f"{STACK}={stack.name}.drill"
    containers = [str(one.name) for one in stack.docker.containers.list(all=True, filters={"label": label})]
    networks = [str(one.attrs["Name"]) for one in stack.docker.networks.list(filters={"label": label})]
    pool = stack.installation.places.pool / "volumes"
    return [*containers, *networks, *(path.name for path in pool.glob(f"{stack.name}.drill*"))]


def test_a_drill_proves_that_a_backup_can_be_used(stack: LabStack, offsite: str) -> None:
    check = ["grep", "-q", "precious", "/data/file"]
    policy = {"store": offsite, "drill": {"schedule": "weekly", "check": check}}
    services = {"db": sleeper(volumes=["data:/data"], depends_on=["other"]), "other": sleeper()}
    stack.up(services, volumes={"data": {"x-size": "64M", "x-backups": policy}})
    inside(stack.containers("db")[0], "sh", "-ec", "echo precious >/data/file; sync")
    stack.do("backup", "run", stack.name)
    before = stack.ids()
    report = stack.do("backup", "drill", stack.name).json
    assert (report["volumes"], report["services"]) == ([f"{stack.name}/data"], ["db"])
    assert (report["checks"], report["opened"], report["left_out"]) == (["db"], [offsite], [])
    assert "precious" not in str(report), "what a check asks for may be a secret"
    assert report["verified_bytes"] > 0
    assert report["recovery_s"] > 0
    assert report["data_age_s"] > 0
    assert stack.ids() == before
    assert left_of_drills(stack) == []


def test_a_check_that_fails_fails_the_drill_and_nothing_is_left(stack: LabStack, offsite: str) -> None:
    policy = {"store": offsite, "drill": {"schedule": "weekly", "check": "echo not mine >&2; exit 4"}}
    stack.up({"db": sleeper(volumes=["data:/data"])}, volumes={"data": {"x-size": "64M", "x-backups": policy}})
    stack.do("backup", "run", stack.name)
    said = stack.do("backup", "drill", stack.name, code=1).err
    assert "the check of db ended with 4: not mine" in said
    assert left_of_drills(stack) == []


def test_no_packet_of_a_drill_gets_out(stack: LabStack, offsite: str, log_socket: LogSocket) -> None:
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    path = log_socket.path
    with listener() as (port, arrived):
        mail = (
            f"for a in {' '.join(a for a in addresses if ':' not in a)} "
            "$(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p'); do "
            f"echo hello | nc -w 1 $a {port}; done; "
            "for s in /one.sock /host/daemon.sock; do ln -sf $s /dev/log; logger hello; done; "
            "echo tried >/data/tried; sync; exec sleep 3600"
        )
        health = {"test": ["CMD", "grep", "-q", "tried", "/data/tried"], "interval": "1s", "start_period": "120s"}
        db = sleeper(
            volumes=["data:/data", f"{path}:/one.sock:ro", f"{path.parent}:/host:ro"],
            command=["sh", "-c", mail.replace("$", "$$")],
            healthcheck=health,
        )
        stack.up({"db": db}, volumes={"data": {"x-size": "64M", "x-backups": {"store": offsite}}})
        assert arrived, "the app itself reaches the host, so the test can tell"
        assert len(log_socket.arrived()) == 2, "and what listens on its sockets"
        inside(stack.containers("db")[0], "sh", "-ec", "rm /data/tried; sync")
        stack.do("backup", "run", stack.name)
        arrived.clear()
        report = stack.do("backup", "drill", stack.name).json
        assert report["services"] == ["db"]
        assert report["left_out"] == [f"db: {path}: a socket", f"db: {path.parent}: has a socket: {path}"]
        assert (arrived, log_socket.arrived()) == ([], [])
