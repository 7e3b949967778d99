"""A Docker daemon in memory. Keeps the promises of blocks/docker/contract.py, as tests/contract shows.

`fail_at=n` lets the n-th side effect fail once with DaemonUnavailable, before it has happened or, with
`fail_after=True`, right after: what a dying daemon or worker leaves behind. `script` says how instances behave.
"""

from tests.fakes.docker.container import FakeContainer, Script
from tests.fakes.docker.host import FakeDockerHost
from tests.fakes.docker.images import BUSYBOX

__all__ = ["BUSYBOX", "FakeContainer", "FakeDockerHost", "Script"]
