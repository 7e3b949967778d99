"""restic from Debian's pool: the version of Debian 12 is years old, so a newer one is unpacked and not installed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.usage import Usage, use
from stampede.blocks.object_store import S3Address
from tests.lab.debian import unpacked_from

NAME = "restic"
SUITE, VERSION = "sid", "0.19.1-1"


def program() -> Path:
    return unpacked_from(SUITE, "restic", VERSION) / "usr" / "bin" / "restic"


def start() -> None:
    """Loads the program, and does nothing."""
    use([program(), "version"])


@dataclass(frozen=True)
class Restic:
    """A repository of its own. `place` is what restic calls it; what it keeps on this machine is in `folder`."""

    place: str
    folder: Path
    address: S3Address | None = None

    @classmethod
    def create(cls, folder: Path, address: S3Address | None = None) -> Restic:
        """In a bucket, or in a directory of this machine."""
        folder.mkdir()
        (folder / "password").write_text("only for a benchmark\n")
        place = f"s3:{address.endpoint}/{address.bucket}" if address else str(folder / "repository")
        made = cls(place, folder, address)
        made._run("init")
        return made

    def back_up(self, what: Path) -> Usage:
        return self._run("backup", "--host", "bench", str(what))

    def restore(self, target: Path) -> Usage:
        return self._run("restore", "latest", "--target", str(target))

    def verify(self) -> Usage:
        """Everything that is stored is read and compared with its hash."""
        return self._run("check", "--read-data")

    def _run(self, *words: str) -> Usage:
        options = ["--quiet", "--cache-dir", str(self.folder / "cache")]
        if self.address is not None and self.address.ca_file:
            options += ["--cacert", self.address.ca_file]
        return use([program(), *options, *words], env=self._environment)

    @property
    def _environment(self) -> dict[str, str]:
        own = {"RESTIC_REPOSITORY": self.place, "RESTIC_PASSWORD_FILE": str(self.folder / "password")}
        if self.address is not None:
            own |= {
                "AWS_ACCESS_KEY_ID": self.address.access_key,
                "AWS_SECRET_ACCESS_KEY": self.address.secret_key.get_secret_value(),
                "AWS_DEFAULT_REGION": self.address.region,
            }
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | own
