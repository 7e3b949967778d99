"""Why an instance is replaced, in words: which keys of its service differ between two revisions."""

from __future__ import annotations

from stampede.planning.found import FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.spec_hash import VERSION
from stampede.stackfile.models import Service

_SHOWN_KEYS = 4


def why_replace(found: FoundInstance, wanted: Instance, before: Service | None) -> str:
    """One line that names keys, never values, which may be secret. `before` is None if that revision is gone."""
    if not found.spec_hash.startswith(f"{VERSION}:"):
        return "it was made by another release, whose spec hash cannot be compared"
    parts = []
    if found.image_identity != wanted.image.identity:
        same = found.image == wanted.image.reference
        parts.append(f"{found.image} was built anew" if same else f"image {wanted.image.reference}")
    if before is not None:
        keys = [key for key in _changed_keys(before, wanted.spec) if key != "image"]
        shown = ", ".join(keys[:_SHOWN_KEYS]) + (", …" if len(keys) > _SHOWN_KEYS else "")
        parts += [f"changed: {shown}"] if keys else []
    return "; ".join(parts) or "its spec, a config or a secret changed"


def _changed_keys(before: Service, after: Service) -> list[str]:
    keys = []
    for name in type(after).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old == new or name in ("build", "pull_policy", "depends_on", "scale", "deploy"):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            keys += [f"{name}.{key}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        else:
            keys.append(name)
    if before.deploy.resources != after.deploy.resources:
        keys.append("deploy.resources")
    if before.deploy.restart_policy != after.deploy.restart_policy:
        keys.append("deploy.restart_policy")
    return keys
