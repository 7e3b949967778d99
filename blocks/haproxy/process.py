"""The running HAProxy: a master, which reloads, and its worker, which serves. Sources: management guide, 3 and 9.4."""

from __future__ import annotations

import re
from pathlib import Path

from stampede.balancer.runtime import parse_failed_reloads, parse_info
from stampede.blocks.haproxy.sockets import Socket, wait_until
from stampede.blocks.haproxy.taken import processes_with
from stampede.control_plane import services
from stampede.control_plane.systemd import UNITS
from stampede.errors import DaemonError, DaemonUnavailable
from stampede.places import Places
from stampede.programs import run

_RELOAD_WITHIN_S = 20.0
_UNIT = "stampede-haproxy"
_COMPLAINT = re.compile(r"\[ALERT\].*?\bconfig : (.*)")


def master_socket(places: Places) -> Path:
    return places.run / "haproxy-master.sock"


def service_argv(places: Places) -> list[str]:
    """What the host's supervisor runs, in the foreground; SIGTERM or SIGINT ends it. Needs `ensure_config` before.

    If a worker dies, the master ends as well, and it is for the supervisor to start both again.
    """
    return ["haproxy", "-W", "-db", "-S", f"{master_socket(places)},mode,600", "-f", str(places.host / "haproxy.cfg")]


def start_under_supervision(places: Places) -> None:
    """Afterwards systemd or the host's own supervisor keeps HAProxy running, also after a reboot."""
    unit = UNITS / f"{_UNIT}.service"
    if unit.exists() and str(places.host / "haproxy.cfg") in unit.read_text():
        run(["systemctl", "enable", "--now", "--quiet", _UNIT])
    else:
        services.add(places, services.Service(name="haproxy", argv=tuple(service_argv(places)), traffic=True))


class HAProxyProcess:
    """Finds, asks and reloads the HAProxy that `service_argv` started."""

    def __init__(self, places: Places, admin: Socket) -> None:
        self._config = places.host / "haproxy.cfg"
        self._logs = places.logs
        self._admin = admin
        self._master = Socket(master_socket(places))

    def pids(self) -> frozenset[int]:
        """Master, worker, and workers of before that still serve their last connections; none if it does not run."""
        return processes_with(str(self._config))

    def is_running(self, patience_s: float = 0.0) -> bool:
        """Whether it answers; a process that does not is none that serves."""
        try:
            return bool(self._admin.ask("show info", patience_s=patience_s))
        except DaemonUnavailable:
            return False

    def wait_for_answer(self, limit_s: float) -> None:
        """It answers, whatever it runs. Raises: DaemonUnavailable after `limit_s`."""
        if not wait_until(self.is_running, limit_s):
            raise DaemonUnavailable(f"haproxy did not answer within {limit_s:g} s", f"its log is below {self._logs}")

    def fingerprint(self) -> str:
        """That of the configuration the worker runs. Raises: DaemonUnavailable."""
        return parse_info(self._admin.ask("show info")).get("description", "")

    def check(self, candidate: Path) -> None:
        """HAProxy would accept this configuration. Raises: DaemonError with its complaints, lines included."""
        done = run(["haproxy", "-c", "-f", candidate], check=False)
        if done.code:
            complaints = _COMPLAINT.findall(done.out + done.err)
            raise DaemonError(
                "haproxy refused the new configuration: " + "; ".join(complaints[:3]), f"it was kept as {candidate}"
            )

    def reload(self, wanted: str) -> None:
        """The worker runs the configuration whose fingerprint is `wanted`; new connections never found it closed.

        Raises: DaemonError when the master could not start such a worker (the old one goes on serving),
        DaemonUnavailable when it said neither within 20 s.
        """
        before = self._failed()
        self._master.order("reload")
        if not wait_until(lambda: self._runs(wanted) or self._has_failed_since(before), _RELOAD_WITHIN_S):
            raise DaemonUnavailable(f"haproxy has not finished its reload after {_RELOAD_WITHIN_S:g} s")
        if not self._runs(wanted):
            raise DaemonError("haproxy could not start with the new listeners", f"its log is below {self._logs}")

    def _runs(self, wanted: str) -> bool:
        try:
            return self.fingerprint() == wanted
        except DaemonUnavailable:
            return False

    def _has_failed_since(self, before: int) -> bool:
        try:
            return self._failed() > before
        except DaemonUnavailable:
            return False  # the master executes itself anew, and has no socket meanwhile

    def _failed(self) -> int:
        return parse_failed_reloads(self._master.ask("show proc"))
