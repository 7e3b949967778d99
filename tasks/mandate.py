"""On whose behalf a host acts: every side effect is checked against it and carries it in its labels."""

from __future__ import annotations

from stampede.frozen import Frozen
from stampede.tasks.fences import check_fence
from stampede.tasks.this_host import this_host


class Mandate(Frozen):
    """A change of a stack: its fencing number, and the flow run that a person would look at."""

    stack: str
    fence: int
    run: str = ""

    def check(self) -> None:
        """Returns while no newer change of this stack has reached this host. Raises: Fenced."""
        check_fence(this_host().places, self.stack, self.fence)
