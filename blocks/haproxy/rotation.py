"""Servers of the running HAProxy, through its admin socket: in, out, and what state they are in.

Each server of a listener stands in two backends: one with checks, and one without, which takes over when no checked
server is up (fail-open). Draining and removing is done in both.
"""

from __future__ import annotations

from collections.abc import Iterable

from stampede.balancer.listeners import BalancedStack, Listener, Server, safe_name
from stampede.balancer.render import backends_of, is_fail_open, server_options
from stampede.balancer.runtime import FoundServer, FoundState, ServerEntry, parse_rows, parse_server_states
from stampede.blocks.haproxy.sockets import Socket, wait_until
from stampede.errors import DaemonUnavailable

_GONE = "No such"  # server, or backend
_DELETED_WITHIN_S = 5.0
_WORST_FIRST: tuple[FoundState, ...] = (
    "missing",
    "maintenance",
    "down",
    "joining",
    "unhealthy",
    "draining",
    "serving",
)


class Rotation:
    """Carries out what the files say on the running HAProxy. Every verb may be repeated."""

    def __init__(self, admin: Socket) -> None:
        self._admin = admin

    def ensure(self, listeners: Iterable[Listener], server: Server) -> bool:
        """Each listener has `server` at its address and in its state; True if something had to be changed."""
        changed = [
            self._ensure_in(backend, listener, server) for listener in listeners for backend in backends_of(listener)
        ]
        return any(changed)

    def has_passed(self, listeners: Iterable[Listener], name: str) -> bool:
        """Whether the last check of each listener passed."""
        entries = [self._entry(listener.name, name) for listener in listeners]
        return all(entry is not None and entry.passed and entry.running for entry in entries)

    def drain(self, listeners: Iterable[Listener], name: str) -> None:
        """It gets no new connections."""
        for server in _references(listeners, name):
            self._admin.tell(f"set server {server} state drain", unless=_GONE)

    def sessions(self, listeners: Iterable[Listener], name: str) -> int:
        """Connections it has and those that wait for it, over all listeners."""
        return sum(self._sessions(backend, name) for listener in listeners for backend in backends_of(listener))

    def cut(self, listeners: Iterable[Listener], name: str) -> int:
        """Ends its connections; returns how many there were."""
        count = self.sessions(listeners, name)
        for server in _references(listeners, name):
            if self._admin.tell(f"set server {server} state maint", unless=_GONE):
                self._admin.tell(f"shutdown sessions server {server}", unless=_GONE)
        return count

    def remove(self, listeners: Iterable[Listener], name: str) -> bool:
        """No listener has it; True if one had."""
        removed = [self._remove(server) for server in _references(listeners, name)]
        return any(removed)

    def found(self, desired: BalancedStack) -> tuple[FoundServer, ...]:
        """The servers of a stack, those that drain and those that are missing included."""
        known = {(one.service, one.name): one for one in desired.servers}
        names = {(one.service, safe_name(one.name)): one.name for one in desired.servers}
        states: dict[tuple[str, str], list[FoundState]] = {}
        addresses = {key: one.address for key, one in known.items()}
        for listener in desired.listeners:
            entries = {entry.name: entry for entry in self._entries(listener.name)}
            wanted = {safe_name(one.name) for one in desired.servers_of(listener.service)}
            for short in sorted(wanted | set(entries)):
                key = (listener.service, names.get((listener.service, short), short))
                states.setdefault(key, []).append(_state(entries.get(short), known.get(key)))
                if short in entries:
                    addresses[key] = entries[short].address
        return tuple(
            FoundServer(
                stack=desired.stack,
                service=service,
                name=name,
                address=addresses[service, name],
                state=min(found, key=_WORST_FIRST.index),
                sessions=self.sessions(desired.listeners_of(service), name),
            )
            for (service, name), found in sorted(states.items())
        )

    def _ensure_in(self, backend: str, listener: Listener, server: Server) -> bool:
        reference = f"{backend}/{safe_name(server.name)}"
        entry = self._entry(backend, server.name)
        if entry is not None and (entry.address, entry.port) != (server.address, listener.target):
            self._remove(reference)
            entry = None
        if entry is None:
            options = server_options(backend, listener, server)
            self._admin.tell(f"add server {reference} {options}", unless="Already exists")
        state = _admin_state(backend, server)
        if entry is not None and _is_in(entry, state):
            return False
        self._admin.tell(f"set server {reference} state {state}")
        if not is_fail_open(backend):
            self._admin.tell(f"enable health {reference}")
        return True

    def _remove(self, reference: str) -> bool:
        if not self._admin.tell(f"set server {reference} state maint", unless=_GONE):
            return False
        self._admin.tell(f"shutdown sessions server {reference}", unless=_GONE)
        if not wait_until(lambda: self._is_deleted(reference), _DELETED_WITHIN_S):
            raise DaemonUnavailable(f"haproxy still holds connections of {reference}")
        return True

    def _is_deleted(self, reference: str) -> bool:
        answer = self._admin.ask(f"del server {reference}")
        return "deleted" in answer or _GONE in answer

    def _entry(self, backend: str, name: str) -> ServerEntry | None:
        return next((entry for entry in self._entries(backend) if entry.name == safe_name(name)), None)

    def _entries(self, backend: str) -> tuple[ServerEntry, ...]:
        return parse_server_states(self._admin.ask(f"show servers state {backend}"))

    def _sessions(self, backend: str, name: str) -> int:
        rows = parse_rows(self._admin.ask(f"show stat {backend} 4 -1"))
        return sum(row.sessions + row.queued for row in rows if row.name == safe_name(name))


def _references(listeners: Iterable[Listener], name: str) -> list[str]:
    return [f"{backend}/{safe_name(name)}" for listener in listeners for backend in backends_of(listener)]


def _admin_state(backend: str, server: Server) -> str:
    """The state that HAProxy shall give a server. `drain` lets checks run and traffic not."""
    if is_fail_open(backend):
        return "maint" if server.state == "joining" else "ready"
    return "ready" if server.state == "serving" else "drain"


def _is_in(entry: ServerEntry, state: str) -> bool:
    match state:
        case "maint":
            return entry.maintenance
        case "drain":
            return entry.drained and not entry.maintenance
        case _:
            return not entry.drained and not entry.maintenance


def _state(entry: ServerEntry | None, server: Server | None) -> FoundState:
    if server is None or server.state == "draining":
        return "draining"
    if entry is None:
        return "missing"
    if entry.maintenance:
        return "maintenance"
    if server.state != "serving":
        return server.state
    return "serving" if entry.running else "down"
