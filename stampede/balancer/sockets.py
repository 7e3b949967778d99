"""Who listens on this host: the kernel's tables of TCP and UDP sockets. Source: proc(5), /proc/net/tcp."""

from __future__ import annotations

import socket
from typing import NamedTuple

_LISTEN, _UNCONNECTED = "0A", "07"


class ListeningSocket(NamedTuple):
    """A socket that accepts connections or datagrams of anybody.

    `address` is as people write it; `inode` names the socket in /proc/PID/fd.
    """

    address: str
    port: int
    inode: int


def parse_listening(table: str) -> tuple[ListeningSocket, ...]:
    """The listening sockets of /proc/net/tcp or /proc/net/tcp6."""
    return _in_state(table, _LISTEN)


def parse_bound(table: str) -> tuple[ListeningSocket, ...]:
    """The sockets of /proc/net/udp or /proc/net/udp6 that are not connected to one peer."""
    return _in_state(table, _UNCONNECTED)


def _in_state(table: str, state: str) -> tuple[ListeningSocket, ...]:
    lines = (line.split() for line in table.splitlines()[1:])
    return tuple(_socket(words) for words in lines if len(words) > 9 and words[3] == state)


def _socket(words: list[str]) -> ListeningSocket:
    packed, _, port = words[1].partition(":")
    # The kernel prints each 32-bit word of the address in the byte order of the machine.
    octets = b"".join(bytes.fromhex(packed[at : at + 8])[::-1] for at in range(0, len(packed), 8))
    family = socket.AF_INET if len(octets) == 4 else socket.AF_INET6
    return ListeningSocket(socket.inet_ntop(family, octets), int(port, 16), int(words[9]))
