"""Which ports of this host other programs listen on. Two HAProxys of root would share one in silence."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from stampede.balancer.listeners import Listener
from stampede.balancer.sockets import ListeningSocket, parse_listening
from stampede.errors import BadInput, PortTaken

_PROC = Path("/proc")


def foreign_sockets(ours: Collection[int]) -> tuple[ListeningSocket, ...]:
    """Listening TCP sockets of this host that none of the processes `ours` holds."""
    tables = (_PROC / "net/tcp", _PROC / "net/tcp6")
    listening = [found for table in tables if table.exists() for found in parse_listening(table.read_text())]
    held = {inode for pid in ours for inode in _inodes(_PROC / str(pid))}
    return tuple(found for found in listening if found.inode not in held)


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
    for process in _PROC.iterdir():
        if process.name.isdigit() and inode in _inodes(process):
            return f"{_program(process)} (pid {process.name})"
    return "a program that is gone by now, or hidden from us"


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
