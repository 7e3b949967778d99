"""What of a daemon matters for what it is asked: its API version and its default log driver."""

from __future__ import annotations

from stampede.frozen import Frozen


class Traits(Frozen):
    """`api` is the Engine API version that is spoken with the daemon; dockerd 20.10 speaks 1.41."""

    api: tuple[int, int] = (1, 41)
    log_driver: str = "json-file"
