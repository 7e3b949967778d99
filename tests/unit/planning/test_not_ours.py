"""Networks and volumes that are missing or somebody else's are found while planning."""

from __future__ import annotations

from typing import Any

import pytest

from stampede.errors import DaemonError, Foreign
from stampede.planning.found import FoundHost, FoundNetwork, FoundVolume
from stampede.planning.obstacles import refuse_obstacles
from tests.unit.planning.worlds import STACK, SUBNET, World, revision_of

NETWORK, VOLUME = f"{STACK}_default", f"{STACK}_data"
MOUNT = {"type": "volume", "source": "data", "target": "/data"}


def look(services: dict[str, Any] | None = None, *, sections: dict[str, Any] | None = None, **host: Any) -> None:
    """Plan a service with a network and a volume on a host that has this."""
    revision = revision_of(services or {"db": {"volumes": [MOUNT]}}, **(sections or {}))
    _, instances = World().plan(revision)
    refuse_obstacles(revision.definition, instances, [FoundHost(host="h1", **host)])


def test_a_name_that_somebody_else_has_is_foreign() -> None:
    with pytest.raises(Foreign, match=rf"^networks.default: a network named {NETWORK} exists already on h1"):
        look(other_networks=(NETWORK,))
    with pytest.raises(Foreign, match=rf"^volumes.data: a volume named {VOLUME} exists already on h1"):
        look(other_volumes=(VOLUME,))


def test_what_is_not_there_or_ours_is_not_in_the_way() -> None:
    look()
    look(other_networks=("another",), other_volumes=("another",))
    look(volumes=(FoundVolume(name=VOLUME, stack=STACK, adopted=True),), other_volumes=(VOLUME,))


def test_a_network_of_the_stack_that_has_a_namesake_is_the_stacks() -> None:
    """Docker's names of networks are not unique."""
    ours = FoundNetwork(id="n", name=NETWORK, stack=STACK, subnet=SUBNET)
    with pytest.raises(Exception, match="made with another"):
        look(networks=(ours,), other_networks=(NETWORK,))


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_an_external_one_has_to_be_there(kind: str) -> None:
    key = "default" if kind == "network" else "data"
    sections = {f"{kind}s": {key: {"name": "outside", "external": True}}}
    with pytest.raises(DaemonError, match=rf"^{kind}s.{key}: the external {kind} outside does not exist on h1"):
        look(sections=sections)
    there: dict[str, Any] = {f"other_{kind}s": ("outside",)}
    look(sections=sections, **there)


def test_one_that_no_service_uses_is_not_asked_for() -> None:
    look({"db": {}}, sections={"volumes": {"data": {"name": "outside", "external": True}}})
