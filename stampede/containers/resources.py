"""Limits of a container: CPU, memory, processes, block devices, files. `deploy.resources` wins over the short keys."""

from __future__ import annotations

from typing import Any

from stampede.stackfile.models import DeviceRequest, Service

_NANO = 1_000_000_000
_UNLIMITED_DEVICES = -1
_BLKIO_RATES = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_iops": "BlkioDeviceWriteIOps",
}


def resources(service: Service) -> dict[str, Any]:
    """The resource fields of HostConfig; what the file leaves out is left out."""
    limits, reservations = service.deploy.resources.limits, service.deploy.resources.reservations
    cpus = _first(limits.cpus, service.cpus)
    said: dict[str, Any] = {
        "NanoCpus": None if cpus is None else round(cpus * _NANO),
        "CpuCount": service.cpu_count,
        "CpuPercent": None if service.cpu_percent is None else round(service.cpu_percent),
        "CpuPeriod": service.cpu_period,
        "CpuQuota": service.cpu_quota,
        "CpuRealtimePeriod": service.cpu_rt_period,
        "CpuRealtimeRuntime": service.cpu_rt_runtime,
        "CpuShares": service.cpu_shares,
        "CpusetCpus": service.cpuset,
        "Memory": _first(limits.memory, service.mem_limit),
        "MemoryReservation": _first(reservations.memory, service.mem_reservation),
        "MemorySwap": service.memswap_limit,
        "MemorySwappiness": service.mem_swappiness,
        "OomKillDisable": service.oom_kill_disable or None,
        "OomScoreAdj": service.oom_score_adj,
        "PidsLimit": _first(limits.pids, service.pids_limit),
        "ShmSize": service.shm_size,
        "StorageOpt": service.storage_opt or None,
        "CgroupParent": service.cgroup_parent,
        "Ulimits": [{"Name": n, "Soft": u.soft, "Hard": u.hard} for n, u in sorted(service.ulimits.items())] or None,
        "Devices": _devices(service) or None,
        "DeviceCgroupRules": list(service.device_cgroup_rules) or None,
        "DeviceRequests": [_device_request(r) for r in (*service.gpus, *reservations.devices)] or None,
        **_block_io(service.blkio_config or {}),
    }
    return {key: value for key, value in said.items() if value is not None}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _devices(service: Service) -> list[dict[str, str]]:
    return [
        {
            "PathOnHost": device.source,
            "PathInContainer": device.target or device.source,
            "CgroupPermissions": device.permissions,
        }
        for device in service.devices
    ]


def _device_request(wanted: DeviceRequest) -> dict[str, Any]:
    """Without a count and without ids, every device that has the capabilities."""
    count = wanted.count if wanted.count is not None else (0 if wanted.device_ids else _UNLIMITED_DEVICES)
    return {
        "Driver": wanted.driver or "",
        "Count": count,
        "DeviceIDs": list(wanted.device_ids) or None,
        "Capabilities": [list(wanted.capabilities or ("gpu",))],
        "Options": dict(wanted.options),
    }


def _block_io(config: dict[str, Any]) -> dict[str, Any]:
    """`blkio_config`: rates are bytes or operations a second."""
    said: dict[str, Any] = {
        "BlkioWeight": config.get("weight"),
        "BlkioWeightDevice": [
            {"Path": entry["path"], "Weight": int(entry["weight"])} for entry in config.get("weight_device") or ()
        ]
        or None,
    }
    for key, field in _BLKIO_RATES.items():
        entries = config.get(key) or ()
        said[field] = [{"Path": entry["path"], "Rate": int(entry["rate"])} for entry in entries] or None
    return said
