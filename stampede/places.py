"""Where Stampede keeps its files on a host, and what this installation is called."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "STAMPEDE_STATE_DIR"
RUN_VARIABLE = "STAMPEDE_RUN_DIR"
HOST_VARIABLE = "STAMPEDE_HOST"
CLUSTER_VARIABLE = "STAMPEDE_CLUSTER"
DEFAULT_STATE = "/var/lib/stampede"


@dataclass(frozen=True)
class Places:
    """`state` survives a reboot, `run` does not. Both belong to root, mode 0700.

    state/server    Prefect's home and database, the API password and the encryption key (0600)
    state/host      what this host keeps: revisions it runs, fencing numbers, haproxy.cfg, encrypted secrets
    state/logs      of the background services
    state/pool      images of managed volumes and their snapshots; state/pool.img is mounted there if need be
    state/volumes   where managed volumes are mounted
    state/opened    backups that are being looked into
    run             sockets and pid files; run/files holds configs and secrets in memory
    """

    state: Path
    run: Path

    @classmethod
    def of_environment(cls) -> Places:
        """From STAMPEDE_STATE_DIR and STAMPEDE_RUN_DIR, else /var/lib/stampede and /run/stampede."""
        return cls(
            Path(os.environ.get(STATE_VARIABLE, DEFAULT_STATE)),
            Path(os.environ.get(RUN_VARIABLE, "/run/stampede")),
        )

    @property
    def cluster(self) -> str:
        """What marks the containers of this installation, so that two on one Docker daemon never touch each other's.

        From STAMPEDE_CLUSTER; else `default`, or a digest of the state directory where that is an unusual one.
        """
        if named := os.environ.get(CLUSTER_VARIABLE):
            return named
        if self.is_default:
            return "default"
        return hashlib.sha256(str(self.state).encode()).hexdigest()[:8]

    @property
    def is_default(self) -> bool:
        """Whether this is the machine's own installation, not one beside it in another state directory."""
        return self.state == Path(DEFAULT_STATE)

    @property
    def server(self) -> Path:
        return self.state / "server"

    @property
    def host(self) -> Path:
        return self.state / "host"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pool(self) -> Path:
        return self.state / "pool"

    @property
    def pool_file(self) -> Path:
        return self.state / "pool.img"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def opened(self) -> Path:
        return self.state / "opened"

    @property
    def files(self) -> Path:
        return self.run / "files"
