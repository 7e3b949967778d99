"""What a container sees of volumes, host directories, memory, configs and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stampede.planning import identity
from stampede.planning.instances import Instance
from stampede.stackfile.models import Mount

_SELINUX = ("z", "Z")


def mounts(
    instance: Instance, *, files_dir: Path, labels: Mapping[str, str], anonymous_volumes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """HostConfig.Mounts.

    `anonymous_volumes` maps targets to volumes that the predecessor of this instance had; those that the image
    declares and no file names are taken over as well. Configs and secrets are read-only binds of the host's copies in
    `files_dir/<stack>/`.
    """
    taken_over = dict(anonymous_volumes)
    rendered = []
    for mount in instance.spec.volumes:
        if _is_plain_bind(mount):
            continue
        source = instance.volumes.get(mount.source, mount.source) if mount.source and mount.type == "volume" else None
        if mount.type == "volume" and source is None:
            source = taken_over.pop(mount.target, None)
        rendered.append(_mount(mount, source, labels))
    named = {mount.target for mount in instance.spec.volumes}
    rendered += [
        {"Type": "volume", "Source": name, "Target": target}
        for target, name in sorted(taken_over.items())
        if target not in named
    ]
    rendered += [
        {
            "Type": "bind",
            "Source": str(files_dir / instance.stack / file.host_name),
            "Target": file.target,
            "ReadOnly": True,
        }
        for file in instance.files
    ]
    return rendered


def plain_binds(instance: Instance) -> list[str]:
    """HostConfig.Binds: the form in which Docker makes a host directory that is missing, and relabels for SELinux."""
    binds = []
    for mount in filter(_is_plain_bind, instance.spec.volumes):
        options = [
            "ro" if mount.read_only else "rw",
            *([mount.bind.propagation] if mount.bind.propagation else []),
            *([mount.bind.selinux] if mount.bind.selinux in _SELINUX else []),
        ]
        binds.append(f"{mount.source}:{mount.target}:{','.join(options)}")
    return binds


def memory_mounts(entries: tuple[str, ...]) -> dict[str, str]:
    """HostConfig.Tmpfs from `tmpfs: [/run:size=64m]`."""
    return {path: options for path, _, options in (entry.partition(":") for entry in entries)}


def _is_plain_bind(mount: Mount) -> bool:
    """Binds cannot carry a colon in a path, nor say anything about submounts."""
    if mount.type != "bind" or ":" in f"{mount.source}{mount.target}" or mount.bind.recursive:
        return False
    return mount.bind.create_host_path or mount.bind.selinux in _SELINUX


def _mount(mount: Mount, volume: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
    rendered: dict[str, Any] = {"Type": mount.type, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.type == "bind":
        rendered["Source"] = mount.source
        rendered["BindOptions"] = _bind_options(mount)
    elif mount.type == "tmpfs":
        size, mode = mount.tmpfs.size, mount.tmpfs.mode
        rendered["TmpfsOptions"] = {
            **({} if size is None else {"SizeBytes": size}),
            **({} if mode is None else {"Mode": mode}),
        }
    else:
        ours = {key: labels[key] for key in (identity.CLUSTER, identity.STACK) if key in labels}
        anonymous = {} if volume else {"Labels": {**mount.volume.labels, **ours, identity.ANONYMOUS: "true"}}
        rendered.update({"Source": volume} if volume else {})
        rendered["VolumeOptions"] = {"NoCopy": mount.volume.nocopy, **anonymous}
    return rendered


def _bind_options(mount: Mount) -> dict[str, Any]:
    """`recursive`: submounts are bound too unless `disabled`; `writable` and `readonly` need API 1.44."""
    options: dict[str, Any] = {}
    if mount.bind.propagation:
        options["Propagation"] = mount.bind.propagation
    match mount.bind.recursive:
        case "disabled":
            options["NonRecursive"] = True
        case "writable":
            options["ReadOnlyNonRecursive"] = True
        case "readonly":
            options["ReadOnlyForceRecursive"] = True
        case _:
            pass
    return options
