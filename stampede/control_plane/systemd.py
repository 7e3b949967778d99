"""Start and stop the services where systemd runs, as units installed from deployments/systemd."""

from __future__ import annotations

import hashlib
import sys
from importlib import resources
from pathlib import Path

import stampede
from stampede import programs
from stampede.control_plane import settings
from stampede.places import Places

UNITS = Path("/etc/systemd/system")
CONTROL = ("stampede-server", "stampede-worker")
TRAFFIC = ("stampede-haproxy",)
BOOT = ("stampede-boot", "stampede-resume")


def is_running() -> bool:
    """Whether systemd is the init of this machine (sd_booted(3))."""
    return Path("/run/systemd/system").exists()


class Systemd:
    """Keeps services running by way of systemd."""

    @staticmethod
    def start(places: Places) -> None:
        """Afterwards the units are installed, enabled and started; changed ones are started anew.

        The balancer as well, once a stack has published something. It is no reason to fail: systemd tries it again.
        """
        changed = [unit for unit in (*CONTROL, *TRAFFIC, *BOOT) if Systemd._install(unit, places)]
        if changed:
            programs.run(["systemctl", "daemon-reload"])
        programs.run(["systemctl", "enable", "--quiet", *CONTROL, *BOOT])
        restart = [unit for unit in changed if unit in CONTROL]
        if restart:
            programs.run(["systemctl", "restart", *restart])
        programs.run(["systemctl", "start", *CONTROL])
        if (places.host / "haproxy.cfg").exists():
            programs.run(["systemctl", "enable", "--quiet", *TRAFFIC])
            programs.run(["systemctl", "start", *TRAFFIC], check=False)

    @staticmethod
    def stop(places: Places, *, everything: bool) -> None:
        """Afterwards the services do not run and do not come back at boot, those that carry traffic excepted."""
        units = [unit for unit in (*CONTROL, *(TRAFFIC if everything else ())) if _path(unit).exists()]
        if units:
            programs.run(["systemctl", "disable", "--quiet", *units])
            programs.run(["systemctl", "stop", *units], timeout_s=120)

    @staticmethod
    def processes(places: Places) -> tuple[tuple[str, int], ...]:
        """The units that run, without the prefix `stampede-`, with their main pids."""
        found = []
        for unit in (*CONTROL, *TRAFFIC):
            pid = programs.run(["systemctl", "show", "--property=MainPID", "--value", unit], check=False).out.strip()
            if pid not in {"", "0"}:
                found.append((unit.removeprefix("stampede-"), int(pid)))
        return tuple(found)

    @staticmethod
    def last_lines(places: Places, name: str) -> str:
        """The end of what a service has said."""
        words = ["--unit", f"stampede-{name}", "--lines=8", "--output=cat", "--no-pager"]
        return programs.run(["journalctl", *words], check=False).out

    @staticmethod
    def where_logs_are(places: Places) -> str:
        return "journalctl -u stampede-server -u stampede-worker has the rest"

    @staticmethod
    def _install(unit: str, places: Places) -> bool:
        """Afterwards the unit file says what this release wants; true when it did not before."""
        path = _path(unit)
        text = rendered(unit, places)
        if path.exists() and path.read_text() == text:
            return False
        path.write_text(text)
        return True


def rendered(unit: str, places: Places) -> str:
    """The unit file, with this installation's paths filled in. It differs when the settings that it reads differ."""
    host, port = settings.chosen_address(places)
    text = resources.files("stampede.deployments").joinpath("systemd", f"{unit}.service").read_text()
    values = {
        "python": sys.executable,
        "root": str(Path(stampede.__file__).resolve().parents[1]),
        "state": str(places.state),
        "run": str(places.run),
        "server_env": str(settings.server_env(places)),
        "worker_env": str(settings.worker_env(places)),
        "host": host,
        "port": str(port),
        "server_settings": _digest(settings.server_env(places)),
        "worker_settings": _digest(settings.worker_env(places)),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _path(unit: str) -> Path:
    return UNITS / f"{unit}.service"


def _digest(path: Path) -> str:
    """Of a file, which may be missing. The ones digested here hold long random secrets, which it does not give away."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "none"
