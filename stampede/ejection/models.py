"""What is decided once when a stack leaves Stampede, and what a host says before that. No content of secrets."""

from __future__ import annotations

from stampede.containers.traits import Traits
from stampede.frozen import Frozen
from stampede.planning.adoption import ComposeProject

COMPOSE_FILE = "compose.yaml"
SET_ASIDE = "-before-ejection"
COPY = "-ejected"


class Ejection(Frozen):
    """How one revision of a stack becomes a Compose project in `directory` of its host.

    `images` are what services are made from. `single` are services that go down to one replica, because each container
    publishes its own ports. `jobs` end, and are not started again at boot. `ports` are host ports that the file leaves
    to choose, by service and place in its list. `anonymous` maps services and targets to volumes without a name that
    go along, `volumes` the file's names of volumes to Docker's. `copies` are managed volumes, by Docker's name, with
    the volumes of Docker's own that get their data; it changes only after `decided`, by the host's clock, if at all.
    """

    stack: str
    revision: int
    directory: str
    images: dict[str, str]
    single: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    ports: dict[str, dict[int, int]] = {}
    anonymous: dict[str, dict[str, str]] = {}
    volumes: dict[str, str] = {}
    copies: dict[str, str] = {}
    decided: float = 0.0
    traits: Traits = Traits()

    @property
    def compose_file(self) -> str:
        return f"{self.directory}/{COMPOSE_FILE}"


class EjectionSite(Frozen):
    """What a host has to say before a stack is ejected there.

    `images` are the names under which it has the services' very images. `begun` is what an earlier ejection of the
    stack decided. `in_the_way` is why the directory cannot be used, empty if it can; `now` is the time there.
    """

    images: dict[str, str] = {}
    project: ComposeProject
    traits: Traits = Traits()
    begun: Ejection | None = None
    in_the_way: str = ""
    now: float = 0.0


class EjectedFile(Frozen):
    """A config or secret as a file beside the Compose file. `path` is relative to the directory."""

    path: str
    content: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o444
