"""Which ports of this host other programs listen on. Two HAProxys of root would share one in silence."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from stampede.balancer.listeners import Listener
from stampede.balancer.sockets import ListeningSocket, parse_bound, parse_listening
from stampede.balancer.taken import TakenPort
from stampede.errors import BadInput, PortTaken

_PROC = Path("/proc")
_CONTAINER = re.compile(r"[0-9a-f]{64}")


def foreign_sockets(ours: Collection[int]) -> tuple[ListeningSocket, ...]:
    """Listening TCP sockets of this host that none of the processes `ours` holds."""
    tables = (_PROC / "net/tcp", _PROC / "net/tcp6")
    listening = [found for table in tables if table.exists() for found in parse_listening(table.read_text())]
    held = {inode for pid in ours for inode in _inodes(_PROC / str(pid))}
    return tuple(found for found in listening if found.inode not in held)


def taken_ports(ours: Collection[int]) -> tuple[TakenPort, ...]:
    """TCP and UDP ports of this host that something but the processes `ours` holds, with the names of the holders."""
    tables = ("udp", "udp6")
    paths = [path for name in tables if (path := _PROC / "net" / name).exists()]
    bound = [found for path in paths for found in parse_bound(path.read_text())]
    sockets = [("tcp", found) for found in foreign_sockets(ours)] + [("udp", found) for found in bound]
    holders = dict(_holders({found.inode for _, found in sockets}))
    return tuple(
        TakenPort.model_validate(
            {
                "protocol": protocol,
                "address": found.address,
                "port": found.port,
                "holder": _described(holders.get(found.inode)),
                "container": _container(holders.get(found.inode)),
            }
        )
        for protocol, found in sockets
    )


def refuse_taken(listeners: Iterable[Listener], ours: Collection[int]) -> None:
    """Raises PortTaken, naming the program, when something but `ours` listens where a listener shall."""
    foreign = foreign_sockets(ours)
    for listener in listeners:
        for found in foreign:
            if listener.overlaps(found.address, found.port):
                raise PortTaken(
                    f"port {listener.bind} of service {listener.service} is in use by {_owner(found.inode)}",
                    "stop that program, or publish another port",
                )


def refuse_absent(listeners: Iterable[Listener]) -> None:
    """Raises BadInput when a listener shall be at an address that this host does not have."""
    for listener in listeners:
        if listener.host_ip is None:
            continue
        family = socket.AF_INET6 if ":" in listener.host_ip else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((listener.host_ip, 0))
        except OSError as error:
            raise BadInput(
                f"service {listener.service} publishes {listener.bind}, where this host cannot be: {error.strerror}",
                "`ip address` shows its addresses",
            ) from error


def processes_with(word: str) -> frozenset[int]:
    """Ids of all processes that have `word` among their arguments."""
    wanted = word.encode()
    found: set[int] = set()
    for process in _PROC.iterdir():
        try:
            if process.name.isdigit() and wanted in (process / "cmdline").read_bytes().split(b"\0"):
                found.add(int(process.name))
        except OSError:
            continue  # it has ended meanwhile
    return frozenset(found)


def _owner(inode: int) -> str:
    return _described(dict(_holders({inode})).get(inode))


def _holders(inodes: Collection[int]) -> Iterator[tuple[int, Path]]:
    """Each of these sockets with a process that holds it, as far as we may look."""
    for process in _PROC.iterdir():
        if process.name.isdigit():
            yield from ((inode, process) for inode in _inodes(process).intersection(inodes))


def _described(process: Path | None) -> str:
    if process is None:
        return "a program that is gone by now, or hidden from us"
    return f"{_program(process)} (pid {process.name})"


def _container(process: Path | None) -> str:
    """The id of the container that a process runs in, as its control group tells; "" if it runs in none."""
    try:
        found = _CONTAINER.search((process / "cgroup").read_text()) if process else None
    except OSError:
        return ""
    return found[0] if found else ""


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program that is ending"


def _inodes(process: Path) -> set[int]:
    """Sockets that a process holds; none when it has ended or is not ours to look into."""
    try:
        links = [_target(entry) for entry in (process / "fd").iterdir()]
    except OSError:
        return set()
    return {int(link[len("socket:[") : -1]) for link in links if link.startswith("socket:[")}


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""  # closed meanwhile, as is the directory we are reading when the process is our own
