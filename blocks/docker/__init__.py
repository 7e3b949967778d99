"""Docker: the only code that talks to a Docker daemon."""

from stampede.blocks.docker.contract import Docker
from stampede.blocks.docker.events import Event
from stampede.blocks.docker.health import Verdict, wait_until_healthy
from stampede.blocks.docker.host import DockerHost

__all__ = ["Docker", "DockerHost", "Event", "Verdict", "wait_until_healthy"]
