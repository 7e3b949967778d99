"""Devices, and requests for devices such as GPUs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


def test_devices(web: Web) -> None:
    project = web("devices: ['/dev/loop-control:/dev/loops:r']\ndevice_cgroup_rules: ['c 1:3 r']")
    project.sh(": </dev/loops")
    assert project.fails(": >/dev/loops")
    assert project.host_config()["DeviceCgroupRules"] == ["c 1:3 r"]


def test_device_requests(web: Web) -> None:
    """No such device is needed to create a container, only to start it."""
    project = web("gpus: [{driver: nvidia, count: 2, options: {a: b}}]", start=False)
    (request,) = project.host_config()["DeviceRequests"]
    assert (request["Driver"], request["Count"], request["Options"]) == ("nvidia", 2, {"a": "b"})
    assert request["Capabilities"] == [["gpu"]]
    reserved = "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], device_ids: ['0', '3']}]}}}"
    (request,) = web(reserved, start=False).host_config()["DeviceRequests"]
    assert (request["DeviceIDs"], request["Count"]) == (["0", "3"], 0)
