"""What stands in the way of a plan: things that belong to somebody else, which are never touched."""

from __future__ import annotations

from collections.abc import Sequence

from stampede.errors import Foreign, NeedsAdoption
from stampede.planning.found import FoundHost
from stampede.planning.instances import Instance
from stampede.stackfile.models import Stack


def refuse_obstacles(wanted: Stack, instances: Sequence[Instance], hosts: Sequence[FoundHost]) -> None:
    """Returns if nothing is in the way.

    Raises: NeedsAdoption if a Compose project of this name runs on a host, Foreign if a container name is taken.
    """
    names = {instance.name: instance for instance in instances}
    for host in hosts:
        project = [f.name for f in host.foreign if f.compose_project == wanted.name and f.state == "running"]
        if project:
            raise NeedsAdoption(
                f"a Compose project {wanted.name} runs on {host.host}: {', '.join(sorted(project))}",
                "stampede adopt takes it over and shows the plan first",
            )
        for foreign in host.foreign:
            if foreign.name in names:
                raise Foreign(
                    f"service {names[foreign.name].service}: the name {foreign.name} belongs to a container on"
                    f" {host.host} that Stampede did not make",
                    "rename or remove that container, or change container_name",
                )
