"""What the supervisor keeps running: one JSON file per service in state/host/services, and settings in env files."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from stampede.errors import BadInput
from stampede.places import Places


@dataclass(frozen=True)
class Service:
    """A program that is to run in the foreground, and to come back when it ends.

    `after` names services that are stopped after this one. `traffic` marks one that serves the users of the apps: it
    goes on when the control plane is stopped. `env_file` has lines NAME=value and may hold secrets, mode 0600.
    """

    name: str
    argv: tuple[str, ...]
    env_file: str = ""
    after: tuple[str, ...] = ()
    traffic: bool = False
    stop_timeout_s: float = 20.0

    @property
    def digest(self) -> str:
        """Changes when the service has to be started anew to run as described, settings included."""
        settings = Path(self.env_file).read_bytes() if self.env_file else b""
        return hashlib.sha256(json.dumps(asdict(self)).encode() + settings).hexdigest()


def folder(places: Places) -> Path:
    """Where the service files lie: `<name>.json`. The supervisor notices when one is added, changed or removed."""
    return places.host / "services"


def add(places: Places, service: Service) -> None:
    """Afterwards the supervisor runs this service as described; one of the same name is replaced."""
    where = folder(places)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(where / f"{service.name}.json", json.dumps(asdict(service), indent=1) + "\n")


def remove(places: Places, name: str) -> None:
    """Afterwards the supervisor stops the service and does not run it again; a no-op when there is none."""
    (folder(places) / f"{name}.json").unlink(missing_ok=True)


def stamp(places: Places) -> tuple[tuple[str, int], ...]:
    """Differs when a service file was added, changed or removed; cheap enough to look at each second."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder(places).glob("*.json")))


def load(places: Places) -> dict[str, Service]:
    """Every service by name. Raises: BadInput for a file that does not describe one."""
    found = {}
    for path in sorted(folder(places).glob("*.json")):
        try:
            words = json.loads(path.read_text())
            argv, after = tuple(words.pop("argv")), tuple(words.pop("after", ()))
            service = Service(argv=argv, after=after, **words)
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"{path} does not describe a service: {error}") from error
        found[service.name] = service
    return found


def read_env(path: Path) -> dict[str, str]:
    """The settings of an env file; lines that are empty or begin with # are passed over."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def write_private(path: Path, text: str) -> None:
    """Replace a file, mode 0600, in one step; a file that says so already is left alone."""
    if path.exists() and path.read_text() == text:
        path.chmod(0o600)
        return
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
