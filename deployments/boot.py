"""Before Docker starts: what its containers mount is put back. `python -m stampede.deployments.boot`.

Configs and secrets live in memory, so a reboot takes them; this host keeps an encrypted copy. Managed volumes are
mounted again. The unit stampede-boot is ordered before docker.service, because Docker gives up on a container whose
mounts are missing.
"""

from __future__ import annotations

import os
import socket
import sys

from stampede.blocks.backups.claiming import clear_opened
from stampede.blocks.host_files import refill
from stampede.blocks.volumes import ImagePool
from stampede.errors import StampedeError
from stampede.places import HOST_VARIABLE, Places


def main() -> None:
    """Afterwards the run directory is there, and every volume, config and secret that an instance of this host mounts.

    What cannot be put back is said, and keeps nothing else from being put back: Docker does not start what mounts it.
    """
    places = Places.of_environment()
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)  # HAProxy, which starts after this, has its sockets there
    bring_back_volumes(places)
    restored = refill(places)
    print(f"stampede: {restored} configs and secrets are in place", file=sys.stderr)


def bring_back_volumes(places: Places) -> None:
    """Afterwards managed volumes are mounted, and none of them is frozen; the log names those that cannot be mounted.

    A host without a pool gets none. Nothing is left of backups that somebody was looking into who has died.
    """
    try:
        clear_opened(places)
    except (StampedeError, OSError) as error:
        print(f"stampede: opened backups are not cleared: {error}", file=sys.stderr)
    try:
        volumes = ImagePool(places, os.environ.get(HOST_VARIABLE) or socket.gethostname()).bring_back()
    except (StampedeError, OSError) as error:
        print(f"stampede: the volumes of this host are not mounted: {error}", file=sys.stderr)
        return
    for volume in volumes:
        if not volume.mounted:
            print(f"stampede: {volume.trouble}", file=sys.stderr)
    print(f"stampede: {sum(volume.mounted for volume in volumes)} volumes are mounted", file=sys.stderr)


if __name__ == "__main__":
    main()
