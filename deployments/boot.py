"""Before Docker starts: what its containers mount is put back. `python -m stampede.deployments.boot`.

Configs and secrets live in memory, so a reboot takes them; this host keeps an encrypted copy. The unit stampede-boot
is ordered before docker.service, because Docker gives up on a container whose mounts are missing.
"""

from __future__ import annotations

import sys

from stampede.blocks.host_files import refill
from stampede.places import Places


def main() -> None:
    """Afterwards the run directory is there, and every config and secret that an instance of this host mounts."""
    places = Places.of_environment()
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)  # HAProxy, which starts after this, has its sockets there
    restored = refill(places)
    print(f"stampede: {restored} configs and secrets are in place", file=sys.stderr)


if __name__ == "__main__":
    main()
