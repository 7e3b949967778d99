"""Before Docker starts: what its containers mount is put back. `python -m stampede.deployments.boot`.

Configs and secrets live in memory, so a reboot takes them; this host keeps an encrypted copy. The unit stampede-boot
is ordered before docker.service, because Docker gives up on a container whose mounts are missing.
"""

from __future__ import annotations

import sys

from stampede.blocks.host_files import refill
from stampede.places import Places


def main() -> None:
    """Afterwards every config and secret that an instance of this host mounts is there. Prints how many."""
    restored = refill(Places.of_environment())
    print(f"stampede: {restored} configs and secrets are in place", file=sys.stderr)


if __name__ == "__main__":
    main()
