"""The table of verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Verdict:
    outcome: Literal["acted on", "no effect", "refused"]
    reason: str = ""
    fix: str = ""
    harmless: tuple[Any, ...] = ()


EXTENSIONS: tuple[str, ...] = ()
LATER_EXTENSIONS = {
    "x-machine": "services that are virtual machines",
    "x-images": "images of virtual machines",
    "x-security-groups": "security groups",
    "x-load-balancers": "load balancers with routes and certificates",
    "x-size": "volumes of a given size",
    "x-snapshots": "snapshots of volumes",
    "x-backups": "backups of volumes",
    "x-hooks": "hooks around operations",
    "x-update": "update rules beyond update_config",
    "x-recovery": "recovery of lost hosts",
}
VERDICTS: dict[str, Verdict] = {
    "services.*.develop": Verdict("no effect", "it serves `docker compose watch` on a developer's machine"),
    "services.*.attach": Verdict("no effect", "a deploy attaches to no output; see stampede logs"),
    "version": Verdict("no effect", "the Compose Specification has no versions"),
}
for _path in ("services", "services.*", "networks", "networks.*", "volumes", "volumes.*", "configs", "configs.*"):
    VERDICTS.setdefault(_path, Verdict("acted on"))
