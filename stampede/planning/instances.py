"""An instance: one container (later: or machine) of a service, as it is wanted."""

from __future__ import annotations

from typing import Literal

from stampede.frozen import Frozen
from stampede.stackfile.models import Attachment, Service

HASH_DIGITS_IN_NAMES = 6


class Image(Frozen):
    """`reference` is what the file says; `identity` says what is in it, on any daemon and image store.

    The identity is a digest over the image's layer digests and its runtime configuration: the id that a daemon gives
    differs between Docker's graph drivers and its containerd store. `pin` is where exactly this image can be pulled
    from again (`registry/app@sha256:…`), empty for one that was built or loaded.
    """

    reference: str
    identity: str
    pin: str = ""

    def is_same_as(self, other: Image) -> bool:
        """Whether both mean the same content by the same name, from wherever it came."""
        return (self.reference, self.identity) == (other.reference, other.identity)


class MountedFile(Frozen):
    """A config or secret as an instance sees it. `digest`, keyed, of the content names the host's copy."""

    kind: Literal["config", "secret"]
    source: str
    digest: str
    target: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o444

    @property
    def host_name(self) -> str:
        """File name of the host's copy; two mounts share a copy only if owner and mode agree as well."""
        return f"{self.digest}-{self.uid}-{self.gid}-{self.mode:04o}"


class Instance(Frozen):
    """One instance as it shall be. Everything its driver needs except the address, which the host assigns.

    `networks` is keyed by Docker's name of the network, `volumes` maps the file's name of a volume to Docker's.
    `revision` is the one that made this spec, which later revisions may share.
    """

    stack: str
    service: str
    slot: int
    host: str
    revision: int
    kind: Literal["container"] = "container"
    spec: Service
    image: Image
    networks: dict[str, Attachment] = {}
    volumes: dict[str, str] = {}
    files: tuple[MountedFile, ...] = ()
    spec_hash: str

    @property
    def label(self) -> str:
        """What people call it: `shop-web-2`."""
        return f"{self.stack}-{self.service}-{self.slot}"

    @property
    def name(self) -> str:
        """What the daemon calls it: unique per spec, so that old and new can stand side by side."""
        if self.spec.container_name:
            return self.spec.container_name
        digest = self.spec_hash.rpartition(":")[2]
        return f"{self.label}-{digest[:HASH_DIGITS_IN_NAMES]}"
