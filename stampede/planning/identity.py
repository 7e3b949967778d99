"""The labels by which everything Stampede makes can be recognised and read back."""

from __future__ import annotations

from stampede.planning.instances import Instance

PREFIX = "stampede."
CLUSTER = PREFIX + "cluster"
STACK = PREFIX + "stack"
SERVICE = PREFIX + "service"
SLOT = PREFIX + "slot"
REVISION = PREFIX + "revision"
SPEC_HASH = PREFIX + "spec-hash"
IMAGE = PREFIX + "image"
IMAGE_IDENTITY = PREFIX + "image-identity"
KIND = PREFIX + "kind"
REASON = PREFIX + "reason"
RUN = PREFIX + "run"
ANONYMOUS = PREFIX + "anonymous"  # on an anonymous volume: it belongs to an instance and goes with it
NETWORK = PREFIX + "network"  # on a network: digests of what it was made with, as JSON
MANAGED = PREFIX + "managed"  # on a volume: its data lies in the pool of its host
PORTS = PREFIX + "ports"  # host ports chosen for this instance, as JSON


def labels_of(instance: Instance, *, cluster: str, reason: str, run: str) -> dict[str, str]:
    """The labels an instance carries for its life: who it is, what it was made from, why and by which run."""
    return {
        CLUSTER: cluster,
        STACK: instance.stack,
        SERVICE: instance.service,
        SLOT: str(instance.slot),
        REVISION: str(instance.revision),
        SPEC_HASH: instance.spec_hash,
        IMAGE: instance.image.reference,
        IMAGE_IDENTITY: instance.image.identity,
        KIND: instance.kind,
        REASON: reason,
        RUN: run,
    }
