"""Ports of a host that something holds: another program, a container, or another stack's listener."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from stampede.frozen import Frozen

_WILDCARDS = frozenset({None, "", "0.0.0.0", "::"})


def overlap(one: str | None, other: str | None) -> bool:
    """Whether the kernel would let only one of both addresses listen on one port. None and "" are every address."""
    return one in _WILDCARDS or other in _WILDCARDS or one == other


class TakenPort(Frozen):
    """A port that is held at `address` by `holder`, in words.

    `stack` is the stack whose listener or container has it, "" if it is none of ours; `container` is the id of the
    container that publishes it or listens there itself.
    """

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    holder: str
    stack: str = ""
    container: str = ""

    def is_same_as(self, other: TakenPort) -> bool:
        """Whether both may well be one and the same: a container's port, and the socket of the proxy before it."""
        same = (self.protocol, self.port) == (other.protocol, other.port)
        return same and overlap(self.address, other.address)


def all_taken(
    published: Sequence[TakenPort], listening: Sequence[TakenPort], stack: str, own: Collection[str]
) -> tuple[TakenPort, ...]:
    """What containers publish and what listens, each port once.

    A published port is named after its container, not after the proxy that listens for it. What listens inside one of
    the containers `own` (ids), which have the host's network, is the stack's.
    """
    sockets = [found for found in listening if not any(found.is_same_as(port) for port in published)]
    sockets = [one.model_copy(update={"stack": stack}) if one.container in own else one for one in sockets]
    return (*published, *sockets)
