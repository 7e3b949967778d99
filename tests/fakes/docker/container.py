"""One container in memory, and how it behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stampede.planning.found import FoundInstance


@dataclass(frozen=True)
class Script:
    """How an instance behaves: its main process ends with `exits`, its health check always fails."""

    exits: int | None = None
    never_healthy: bool = False
    output: str = ""


@dataclass
class FakeContainer:
    """One container; `found` is what would be read back."""

    found: FoundInstance
    labels: dict[str, str]
    body: dict[str, Any]
    script: Script
    attached: list[str] = field(default_factory=list)
    probes: list[tuple[str, ...]] = field(default_factory=list)

    def change(self, **changes: Any) -> None:
        self.found = self.found.model_copy(update=changes)
        self.found = self.found.model_copy(update={"published": self._published()})

    def _published(self) -> tuple[str, ...]:
        bindings = self.body["HostConfig"]["PortBindings"].items() if self.found.state == "running" else ()
        ends = ((key.removesuffix("/tcp"), end) for key, of in bindings for end in of if end["HostPort"])
        return tuple(sorted(f"{end['HostIp'] or '*'}:{end['HostPort']}->{key}" for key, end in ends))

    @property
    def restart_policy(self) -> str:
        return str(self.body["HostConfig"]["RestartPolicy"]["Name"])

    def is_restarted_after(self, exit_code: int) -> bool:
        """Whether Docker would start it again when its main process ends so."""
        always = self.restart_policy in ("always", "unless-stopped")
        return always or (self.restart_policy == "on-failure" and exit_code != 0)
