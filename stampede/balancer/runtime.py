"""What HAProxy's sockets answer, as values. Source: https://docs.haproxy.org/2.6/management.html, 9.1, 9.3 and 9.4."""

from __future__ import annotations

import csv
import re
from typing import Literal

from stampede.frozen import Frozen

FoundState = Literal["missing", "maintenance", "joining", "unhealthy", "draining", "down", "serving"]

_FAILED = re.compile(r"\[failed: (\d+)\]")
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40  # forced, inherited, from the configuration, by name resolution
_DRAIN = 0x08 | 0x10
_RUNNING = 2
_CHECK_PASSED = 3


class ServerEntry(Frozen):
    """One line of `show servers state`. `passed`: its last check passed; `running`: it would take traffic."""

    backend: str
    name: str
    address: str
    port: int
    maintenance: bool
    drained: bool
    running: bool
    passed: bool


class Row(Frozen):
    """One line of `show stat`: a server of a backend, or the FRONTEND or BACKEND total of a proxy."""

    proxy: str
    name: str
    queued: int
    sessions: int
    sessions_total: int
    bytes_in: int
    bytes_out: int
    responses_5xx: int
    connection_errors: int


class FoundServer(Frozen):
    """A server as the running HAProxy has it, over all listeners of its service; `state` is the worst of them.

    missing         in the host's file, not in HAProxy
    maintenance     in HAProxy, taken out of rotation
    joining         checked, and waits for its first passed check
    unhealthy       in rotation only while no other server is up
    draining        given no new connections
    down            its checks fail
    serving         in rotation
    """

    stack: str
    service: str
    name: str
    address: str
    state: FoundState
    sessions: int = 0


class ListenerStatistics(Frozen):
    """Counters of one published port since HAProxy's last reload."""

    stack: str
    service: str
    bind: str
    sessions: int
    sessions_total: int
    bytes_in: int
    bytes_out: int
    responses_5xx: int
    connection_errors: int


class Statistics(Frozen):
    """What the running HAProxy says of itself and of every published port of this host."""

    pid: int
    uptime_s: int
    connections: int
    listeners: tuple[ListenerStatistics, ...] = ()


def parse_rows(text: str) -> tuple[Row, ...]:
    """The lines of `show stat`, as CSV with a header that begins with `# `."""
    lines = [line for line in text.removeprefix("# ").splitlines() if line.strip()]
    return tuple(
        Row(
            proxy=line["pxname"],
            name=line["svname"],
            queued=_number(line["qcur"]),
            sessions=_number(line["scur"]),
            sessions_total=_number(line["stot"]),
            bytes_in=_number(line["bin"]),
            bytes_out=_number(line["bout"]),
            responses_5xx=_number(line["hrsp_5xx"]),
            connection_errors=_number(line["econ"]),
        )
        for line in csv.DictReader(lines)
    )


def parse_info(text: str) -> dict[str, str]:
    """The `Name: value` lines of `show info`."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def parse_server_states(text: str) -> tuple[ServerEntry, ...]:
    """The lines of `show servers state`: a version, a header that begins with `# `, and one line per server."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return ()
    header = lines[1][1:]
    return tuple(_entry(dict(zip(header, line, strict=False))) for line in lines[2:])


def _entry(words: dict[str, str]) -> ServerEntry:
    admin, state = int(words["srv_admin_state"]), int(words["srv_op_state"])
    return ServerEntry(
        backend=words["be_name"],
        name=words["srv_name"],
        address=words["srv_addr"],
        port=int(words["srv_port"]),
        maintenance=bool(admin & _MAINTENANCE),
        drained=bool(admin & _DRAIN),
        running=state == _RUNNING,
        passed=int(words["srv_check_result"]) == _CHECK_PASSED,
    )


def parse_failed_reloads(text: str) -> int:
    """How many reloads in a row the master says have failed, in its `show proc`."""
    failed = _FAILED.search(text)
    return int(failed[1]) if failed else 0


def _number(text: str | None) -> int:
    return int(text) if text else 0
