"""The S3 server that all contenders use: SeaweedFS on this machine, by http and by https, and what it has counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.processes import cpu_s
from stampede.blocks.object_store import S3Address
from tests.lab.certificate import write_certificate
from tests.lab.seaweedfs import SeaweedFS, running_seaweedfs

_COUNTED = ("request_total", "bucket_traffic_received_bytes_total", "bucket_traffic_sent_bytes_total")
_COUNTER = re.compile(r'^SeaweedFS_s3_(\w+)\{bucket="([^"]+)".*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Traffic:
    """What a bucket has seen: requests, bytes that were put into it and got from it, and the server's processor."""

    requests: int
    put_bytes: int
    got_bytes: int
    server_cpu_s: float

    def since(self, before: Traffic) -> Traffic:
        return Traffic(
            self.requests - before.requests,
            self.put_bytes - before.put_bytes,
            self.got_bytes - before.got_bytes,
            self.server_cpu_s - before.server_cpu_s,
        )


class Server:
    """A running one."""

    def __init__(self, own: SeaweedFS, certificate: Path) -> None:
        self._own, self._certificate = own, certificate

    def new_bucket(self, secure: bool) -> S3Address:
        """Reached by https or by http."""
        changed = {"endpoint": self._own.secure_endpoint, "ca_file": str(self._certificate)} if secure else {}
        return self._own.address(self._own.bucket(), **changed)

    def traffic(self, bucket: str) -> Traffic:
        with urlopen(self._own.metrics, timeout=10) as answer:
            counted = _COUNTER.findall(answer.read().decode())
        found = dict.fromkeys(
            ("request_total", "bucket_traffic_received_bytes_total", "bucket_traffic_sent_bytes_total"), 0.0
        )
        for name, of, value in counted:
            if of == bucket and name in found:
                found[name] += float(value)
        requests, received, sent = (int(value) for value in found.values())
        return Traffic(requests, received, sent, cpu_s(self._own.pid))


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    folder.mkdir(parents=True)
    certificate = write_certificate(folder / "certificate.pem")
    with running_seaweedfs(folder / "seaweedfs", certificate) as own:
        yield Server(own, certificate)
