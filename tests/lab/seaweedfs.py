"""A SeaweedFS of a test's own on loopback: a real S3 server, stopped by SIGKILL (SIGTERM takes it 20 s)."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from stampede.blocks.object_store import S3Address, S3Store
from stampede.blocks.object_store.s3 import s3_client
from stampede.errors import StampedeError
from tests.lab.installation import until

ACCESS_KEY, SECRET_KEY = "testkey1", "testsecret12345"
_CANARY = "canary"


@dataclass
class SeaweedFS:
    """`folder` holds everything of it. With a `certificate` it also speaks https; one file with its key."""

    folder: Path
    certificate: Path | None = None
    ports: list[int] = field(default_factory=lambda: free_ports(10))
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def secure_endpoint(self) -> str:
        return f"https://127.0.0.1:{self.ports[8]}"

    @property
    def metrics(self) -> str:
        """What it has counted, in the format of Prometheus."""
        return f"http://127.0.0.1:{self.ports[9]}/metrics"

    def address(self, bucket: str, prefix: str = "", **changed: object) -> S3Address:
        known: dict[str, object] = {"access_key": ACCESS_KEY, "secret_key": SecretStr(SECRET_KEY)}
        return S3Address.model_validate(
            {"bucket": bucket, "prefix": prefix, "endpoint": self.endpoint, **known, **changed}
        )

    def bucket(self) -> str:
        """A new one."""
        name = f"b-{secrets.token_hex(6)}"
        client = s3_client(self.address(name))
        client.create_bucket(Bucket=name)
        client.close()
        return name

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Afterwards it stores and gives back, also what it had before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rights = ["Admin", "Read", "List", "Tagging", "Write"]
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        (self.folder / "s3.json").write_text(
            json.dumps({"identities": [{"name": "lab", "credentials": keys, "actions": rights}]})
        )
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc, https, metrics = self.ports
        program = shutil.which("weed") or str(Path(sysconfig.get_path("scripts")) / "weed")
        argv = [program, "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
        argv += [f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-master.port={master}", "-s3.port.iceberg=0"]
        argv += [f"-master.port.grpc={master_grpc}", f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}"]
        argv += [f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", f"-s3.config={self.folder}/s3.json"]
        if self.certificate is not None:
            argv += [f"-s3.port.https={https}", f"-s3.cert.file={self.certificate}", f"-s3.key.file={self.certificate}"]
        argv += [f"-metricsPort={metrics}", "-metricsIp=127.0.0.1"]
        argv += ["-s3.port.lance=0", "-master.volumeSizeLimitMB=1024", "-volume.max=2000", "-master.telemetry=false"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder)
        until(self._serves, "SeaweedFS stores and gives back", 90)

    def kill(self) -> None:
        """Afterwards it does not run, as after a power cut of its process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        client = s3_client(self.address(_CANARY))
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=_CANARY)
            store = S3Store(self.address(_CANARY), patience_s=0.0)
            store.put("bird", b"sings")
            return store.get("bird") == b"sings"
        except (StampedeError, OSError, Exception):
            return False
        finally:
            client.close()


def free_ports(count: int) -> list[int]:
    """As many free ports of loopback, below those that the kernel gives out."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


@contextlib.contextmanager
def running_seaweedfs(folder: Path, certificate: Path | None = None) -> Iterator[SeaweedFS]:
    """A server while the context is open."""
    server = SeaweedFS(folder, certificate)
    server.start()
    try:
        yield server
    finally:
        server.kill()
