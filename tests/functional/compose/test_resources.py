"""Limits, read from the control groups as the container sees them, or from what Docker says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker as sdk
import pytest

from stampede.errors import DaemonError
from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]
VERSION_1 = not Path("/sys/fs/cgroup/cgroup.controllers").exists()


def group(project: Project, version_1: str, version_2: str) -> str:
    """A value of the container's control group."""
    return project.sh(f"cat /sys/fs/cgroup/{version_1 if VERSION_1 else version_2}")


def test_cpu_limits(web: Web) -> None:
    assert group(web("cpus: 0.5"), "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    project = web("cpu_shares: 512\ncpuset: '0'\ncpu_period: 50000\ncpu_quota: 20000")
    assert project.sh("nproc") == "1"
    said = project.host_config()
    assert (said["CpuShares"], said["CpuPeriod"], said["CpuQuota"]) == (512, 50000, 20000)
    assert group(project, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "20000"


def test_memory_limit(web: Web) -> None:
    project = web("mem_limit: 64m\nmem_reservation: 32m\nmemswap_limit: 64m")
    assert group(project, "memory/memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert group(project, "memory/memory.soft_limit_in_bytes", "memory.low") == str(32 << 20)
    assert project.host_config()["MemorySwap"] == 64 << 20


def test_out_of_memory_settings(web: Web) -> None:
    project = web("mem_limit: 64m\noom_score_adj: 500\noom_kill_disable: true\nmem_swappiness: 10")
    assert project.sh("cat /proc/1/oom_score_adj") == "500"
    said = project.host_config()
    if VERSION_1:
        assert (said["OomKillDisable"], said["MemorySwappiness"]) == (True, 10)


def test_pids_limit(web: Web) -> None:
    assert group(web("pids_limit: 33"), "pids/pids.max", "pids.max") == "33"
    project = web("deploy: {resources: {limits: {pids: 34}}}")
    assert group(project, "pids/pids.max", "pids.max") == "34"


def test_deploy_limits(web: Web) -> None:
    project = web("deploy: {resources: {limits: {cpus: '0.25', memory: 48m}}}")
    assert group(project, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
    assert group(project, "memory/memory.limit_in_bytes", "memory.max") == str(48 << 20)


def test_reservations(web: Web) -> None:
    project = web("deploy: {resources: {reservations: {memory: 24m}}}")
    assert group(project, "memory/memory.soft_limit_in_bytes", "memory.low") == str(24 << 20)


def test_shm_size(web: Web) -> None:
    assert web("shm_size: 8m").sh("df -k /dev/shm | tail -1 | awk '{print $2}'") == "8192"


def test_ulimits(web: Web) -> None:
    project = web("ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 777}")
    assert project.sh("ulimit -n; ulimit -Hn") == "1000\n2000"
    assert {"Name": "nproc", "Soft": 777, "Hard": 777} in project.host_config()["Ulimits"]


def test_realtime_limits_or_a_refusal(web: Web) -> None:
    """Few kernels allow them to control groups. That Docker refuses shows that it was asked for them."""
    keys = "cpu_rt_period: 1000000\ncpu_rt_runtime: 950000"
    if not Path("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists():
        with pytest.raises(DaemonError, match="real-time"):
            web(keys, start=False)
        return
    project = web(keys, start=False)
    assert project.host_config()["CpuRealtimeRuntime"] == 950000


def test_storage_options_or_a_refusal(web: Web, docker_client: sdk.DockerClient) -> None:
    """They need xfs with project quotas below overlay2. That Docker refuses shows that it was asked for them."""
    keys, below = "storage_opt: {size: 1G}", dict(docker_client.info()["DriverStatus"])
    if below.get("Backing Filesystem") != "xfs":
        with pytest.raises(DaemonError, match="storage-opt"):
            web(keys, start=False)
        return
    project = web(keys, start=False)
    assert project.host_config()["StorageOpt"] == {"size": "1G"}


def test_block_io_limits(web: Web) -> None:
    """The path is that of a block device; the container need not start where the kernel cannot throttle it."""
    keys = """
        blkio_config:
          weight: 300
          weight_device: [{path: /dev/loop0, weight: 400}]
          device_read_bps: [{path: /dev/loop0, rate: 12mb}]
          device_write_bps: [{path: /dev/loop0, rate: 1024k}]
          device_read_iops: [{path: /dev/loop0, rate: 120}]
          device_write_iops: [{path: /dev/loop0, rate: 30}]
        """
    said = web(keys, start=False).host_config()
    assert said["BlkioDeviceReadBps"] == [{"Path": "/dev/loop0", "Rate": 12 << 20}]
    assert said["BlkioDeviceWriteBps"] == [{"Path": "/dev/loop0", "Rate": 1 << 20}]
    assert said["BlkioDeviceReadIOps"] == [{"Path": "/dev/loop0", "Rate": 120}]
    assert said["BlkioDeviceWriteIOps"] == [{"Path": "/dev/loop0", "Rate": 30}]
