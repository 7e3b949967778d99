"""What happens to instances on this host without anybody having asked for it, as events for automations."""

from __future__ import annotations

from datetime import datetime, timedelta

from stampede.blocks.docker.events import Event
from stampede.tasks.events import emit

REMEMBERED = 1024
LONGEST_GRACE = timedelta(minutes=10)


class InstanceEvents:
    """Turns Docker's stream of events into `stampede.instance.…`. Used by one thread.

    Docker tells `kill` before `die` whenever somebody asked for the end (stop, kill, remove), and never for a crash or
    when the kernel killed a process for want of memory.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._asked: dict[str, datetime] = {}
        self._unhealthy: set[str] = set()

    def notice(self, event: Event) -> str:
        """Emit what this event means, if anything; returns the name of the event that was emitted, or ""."""
        meaning = self._meaning(event)
        if meaning:
            instance = f"{event.stack}-{event.service}-{event.slot}"
            emit(
                meaning,
                event.stack,
                {
                    "stack": event.stack,
                    "service": event.service,
                    "instance": instance,
                    "host": self._host,
                    "container": event.container[:12],
                    "exit_code": event.exit_code,
                    "at": event.at.isoformat(),
                },
                instance,
            )
        return meaning

    def _meaning(self, event: Event) -> str:
        match event.action:
            case "kill":
                self._asked[event.container] = event.at
                while len(self._asked) > REMEMBERED:
                    del self._asked[next(iter(self._asked))]
            case "start" | "destroy":
                self._asked.pop(event.container, None)
                self._unhealthy.discard(event.container)
            case "die" if not self._was_asked(event):
                return "instance.died" if event.exit_code else "instance.ended"
            case "oom":
                return "instance.out-of-memory"
            case "health_status: unhealthy":
                self._unhealthy.add(event.container)
                return "instance.unhealthy"
            case "health_status: healthy" if event.container in self._unhealthy:
                self._unhealthy.discard(event.container)
                return "instance.recovered"
            case _:
                pass
        return ""

    def _was_asked(self, event: Event) -> bool:
        """A signal that did not end it, such as SIGHUP, is no reason for an end long after."""
        asked = self._asked.get(event.container)
        return asked is not None and event.at - asked < LONGEST_GRACE
