"""What stands in the way of a plan: things that belong to somebody else, which are never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Literal

from stampede.errors import DaemonError, Foreign, ImageMissing, NeedsAdoption, Refused
from stampede.planning.changes import Plan
from stampede.planning.found import FoundHost, FoundNetwork, FoundVolume
from stampede.planning.instances import Instance
from stampede.planning.network_traits import made_otherwise
from stampede.stackfile.models import Network, Stack, Volume


def refuse_obstacles(wanted: Stack, instances: Sequence[Instance], hosts: Sequence[FoundHost]) -> None:
    """Returns if nothing is in the way.

    Raises: NeedsAdoption if a Compose project of this name runs or has left something there, Foreign if the name of a
    container, network or volume is taken, DaemonError if an external network or volume is missing, Refused if a network
    would have to be made anew under the instances that are on it.
    """
    names = {instance.name: instance for instance in instances}
    for host in hosts:
        project = [f.name for f in host.foreign if f.compose_project == wanted.name and f.state == "running"]
        if project:
            raise NeedsAdoption(
                f"a Compose project {wanted.name} runs on {host.host}: {', '.join(sorted(project))}",
                "stampede adopt takes it over and shows the plan first",
            )
        named = {v.name for v in wanted.volumes.values() if not v.external} & set(host.project_volumes)
        named |= {n.name for n in wanted.networks.values() if not n.external} & set(host.project_networks)
        if named:
            raise NeedsAdoption(
                f"docker compose made {', '.join(sorted(named))} on {host.host} for a project {wanted.name}",
                "stampede adopt takes it over and shows the plan first",
            )
        for foreign in host.foreign:
            if foreign.name in names:
                raise Foreign(
                    f"service {names[foreign.name].service}: the name {foreign.name} belongs to a container on"
                    f" {host.host} that Stampede did not make",
                    "rename or remove that container, or change container_name",
                )
        here = [instance for instance in instances if instance.host == host.host]
        networks = {name for instance in here for name in instance.networks}
        volumes = {name for instance in here for name in instance.volumes.values()}
        _refuse_not_ours("network", wanted.name, _used(wanted.networks, networks), host.networks, host)
        _refuse_not_ours("volume", wanted.name, _used(wanted.volumes, volumes), host.volumes, host)
        _refuse_networks_made_otherwise(wanted, instances, host)
        _refuse_volumes_made_otherwise(wanted, host)


def refuse_missing_images(plan: Plan, missing: Mapping[str, Mapping[str, str]]) -> None:
    """Returns if every host has the images of what `plan` makes there.

    `missing` says by host and service why an image cannot be had. Raises: ImageMissing.
    """
    for stage in plan.stages:
        for roll in (roll for lane in stage.lanes for wave in lane.waves for roll in wave.rolls):
            why = missing.get(roll.host, {}).get(roll.service)
            if why and roll.wanted and not roll.kept:
                raise ImageMissing(f"services.{roll.service}.image: {roll.host} cannot have the image: {why}")


def _used(declared: Mapping[str, Network] | Mapping[str, Volume], names: Set[str]) -> dict[str, Network | Volume]:
    return {key: one for key, one in declared.items() if one.name in names}


def _refuse_not_ours(
    kind: Literal["network", "volume"],
    stack: str,
    used: Mapping[str, Network | Volume],
    ours: Sequence[FoundNetwork | FoundVolume],
    host: FoundHost,
) -> None:
    """Docker would make a missing volume by itself, empty; and what is somebody else's must not be written to."""
    own = {found.name for found in ours if found.stack == stack}
    others = set(host.other_networks if kind == "network" else host.other_volumes)
    for key, one in used.items():
        if one.external and one.name not in own | others:
            raise DaemonError(
                f"{kind}s.{key}: the external {kind} {one.name} does not exist on {host.host}",
                f"docker {kind} create {one.name}, or leave external out and it is made",
            )
        if not one.external and one.name in others - own:
            raise Foreign(
                f"{kind}s.{key}: a {kind} named {one.name} exists already on {host.host} and is not of stack {stack}",
                "declare it with `external: true` to use it, or give yours another name",
            )


def _refuse_volumes_made_otherwise(wanted: Stack, host: FoundHost) -> None:
    """A volume that has data keeps it: it never becomes a managed one in silence."""
    there = {found.name: found for found in host.volumes if found.stack == wanted.name}
    for key, volume in wanted.volumes.items():
        found = there.get(volume.name)
        if found is None or not volume.managed:
            continue
        if not found.managed:
            raise NeedsAdoption(
                f"volumes.{key}: {volume.name} exists on {host.host} as a volume of Docker's own, and its data would"
                " not be in the managed one",
                f"`stampede volume adopt {wanted.name}/{key}` copies it into a managed volume, and keeps the original",
            )


def _refuse_networks_made_otherwise(wanted: Stack, instances: Sequence[Instance], host: FoundHost) -> None:
    """Of the networks that instances of the file are on: the others go, and may be made anew later."""
    needed = {name for instance in instances if instance.host == host.host for name in instance.networks}
    there = {found.name: found for found in host.networks if found.stack == wanted.name and found.name in needed}
    for key, network in wanted.networks.items():
        found = there.get(network.name)
        if found is None or network.external:
            continue
        if differing := made_otherwise(found, network):
            raise Refused(
                f"networks.{key}: network {network.name} on {host.host} (subnet {found.subnet}) was made with another"
                f" {', '.join(differing)}, which cannot be changed while it is in use",
                f"`stampede down -p {wanted.name}` first, then `stampede up`: volumes stay; or call the new network"
                " by another key",
            )
