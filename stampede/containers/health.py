"""When a container counts as healthy, and how long one waits for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stampede.frozen import Frozen

_NANO = 1_000_000_000
_SHELL = ("/bin/sh", "-c")
_FIRST_PAUSE_S = 0.1
_GROWTH = 1.5
_LONGEST_PAUSE_S = 2.0
_MARGIN_S = 5.0
_START_WITHOUT_PROBE_S = 30.0
CRASHES_ALLOWED = 3


class Probe(Frozen):
    """A health check: a command run inside, with Docker's defaults for what neither file nor image says."""

    argv: tuple[str, ...]
    interval_s: float = 30.0
    timeout_s: float = 30.0
    start_period_s: float = 0.0
    start_interval_s: float | None = None
    retries: int = 3


def probe_of(config: Mapping[str, Any], start_interval_s: float | None = None) -> Probe | None:
    """The probe in a container's Config.Healthcheck (times in nanoseconds), None for no or a disabled check.

    `start_interval_s` is the file's: daemons before API 1.44 do not hand it back.
    """
    test = tuple(config.get("Test") or ())
    if len(test) < 2 or test[0] == "NONE":
        return None
    said = {
        "interval_s": config.get("Interval"),
        "timeout_s": config.get("Timeout"),
        "start_period_s": config.get("StartPeriod"),
        "start_interval_s": config.get("StartInterval"),
    }
    times = {key: value / _NANO for key, value in said.items() if value}
    if start_interval_s:
        times["start_interval_s"] = start_interval_s
    argv = (*_SHELL, test[1]) if test[0] == "CMD-SHELL" else test[1:]
    return Probe(argv=argv, retries=config.get("Retries") or 3, **times)


def pauses_s(probe: Probe | None) -> Iterator[float]:
    """Between two looks at a starting container: 0.1 s at first, growing to `start_interval`, else to 2 s.

    Never longer than `interval`.
    """
    longest = _LONGEST_PAUSE_S
    if probe is not None:
        longest = min(probe.start_interval_s or _LONGEST_PAUSE_S, probe.interval_s)
    pause = min(_FIRST_PAUSE_S, longest)
    while True:
        yield pause
        pause = min(pause * _GROWTH, longest)


def may_give_up(probe: Probe, elapsed_s: float, failures: int) -> bool:
    """Whether so many failures in a row are final. We ask more often than Docker, but are never stricter.

    Docker calls a container unhealthy after `retries` intervals beyond the start period.
    """
    return failures >= probe.retries and elapsed_s >= probe.start_period_s + probe.retries * probe.interval_s


def deadline_s(probe: Probe | None, monitor_s: float) -> float:
    """After so many seconds the wait ends, whatever happens."""
    if probe is None:
        return monitor_s + _START_WITHOUT_PROBE_S
    return probe.start_period_s + probe.retries * (probe.interval_s + probe.timeout_s) + _MARGIN_S
