"""What is there: instances, networks and volumes as read back from a host, by their labels."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from stampede.balancer.listeners import BalancedStack
from stampede.balancer.taken import TakenPort
from stampede.frozen import Frozen

State = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]


class FoundInstance(Frozen):
    """A container that carries Stampede's labels. `addresses` and `network_ids` are keyed by Docker's name
    of the network.

    `anonymous_volumes` maps mount targets to names of volumes that no file names; a replacement takes them over.
    `restarts` and `restart_policy` (Docker's word) are known only where the container was looked at by itself.
    `ports` are host ports that were chosen for it. `published` is where Docker publishes it while it runs, such as
    `*:5353->53/udp`; the host report adds where its service is balanced, such as `*:8080->80`.
    """

    id: str
    name: str
    host: str
    stack: str
    service: str
    slot: int
    revision: int
    spec_hash: str
    kind: Literal["container"] = "container"
    state: State
    health: Health = "none"
    exit_code: int | None = None
    restarts: int = 0
    restart_policy: str = ""
    image: str
    image_identity: str = ""
    addresses: dict[str, str] = {}
    network_ids: dict[str, str] = {}
    anonymous_volumes: dict[str, str] = {}
    ports: dict[str, int] = {}
    published: tuple[str, ...] = ()
    created_at: datetime
    started_at: datetime | None = None
    reason: str = ""
    run: str = ""

    @property
    def label(self) -> str:
        """What people call it: `shop-web-2`."""
        return f"{self.stack}-{self.service}-{self.slot}"


class FoundNetwork(Frozen):
    """A network of a stack. `traits` says what it was made with (network_traits.py); `used` are its taken addresses."""

    id: str
    name: str
    stack: str
    subnet: str
    internal: bool = False
    traits: dict[str, str] = {}
    used: tuple[str, ...] = ()


class FoundVolume(Frozen):
    """A named volume of a stack. One that was `adopted` is used by it, but was made by Compose: never removed.

    `size_bytes` is that of a managed volume as the pool of its host has it; None for others, and for one that Docker
    knows but the pool does not.
    """

    name: str
    stack: str
    adopted: bool = False
    managed: bool = False
    size_bytes: int | None = None


class ForeignContainer(Frozen):
    """A container without our labels: never touched, but its name and its Compose project matter."""

    id: str
    name: str
    compose_project: str = ""
    compose_service: str = ""
    state: State = "running"
    health: Health = "none"
    exit_code: int | None = None


class FoundHost(Frozen):
    """Everything of one host that a plan looks at. `balanced` is what its balancer serves for the stack in question.

    `balancer_runs` is false where what is `balanced` gets no traffic, because no balancer answers.
    `taken` are ports that something holds: other programs, containers (its own ones too), other stacks' listeners.
    `project_networks` and `project_volumes` are those that `docker compose` made for a project of the stack's name.
    `other_networks` and `other_volumes` are names of all that are not in `networks` or `volumes`, of whomever they are.
    """

    host: str
    instances: tuple[FoundInstance, ...] = ()
    networks: tuple[FoundNetwork, ...] = ()
    volumes: tuple[FoundVolume, ...] = ()
    foreign: tuple[ForeignContainer, ...] = ()
    project_networks: tuple[str, ...] = ()
    project_volumes: tuple[str, ...] = ()
    other_networks: tuple[str, ...] = ()
    other_volumes: tuple[str, ...] = ()
    balanced: BalancedStack | None = None
    balancer_runs: bool = True
    taken: tuple[TakenPort, ...] = ()
