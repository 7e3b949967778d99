"""What of an app is drilled, and that nothing of it reaches what is real."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stampede.backup.views import BackupView
from stampede.documents import Revision
from stampede.errors import BackupError
from stampede.planning.drill import NOWHERE, binds, drilled, of_one_file, scratch_name, without
from stampede.planning.instances import Image
from stampede.stackfile.models import Service, Stack

DB: dict[str, Any] = {
    "image": "db",
    "volumes": [
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "volume", "source": "cache", "target": "/cache"},
        {"type": "bind", "source": "/etc/app", "target": "/etc/app"},
    ],
}


def revision(**services: Any) -> Revision:
    document = {
        "name": "shop",
        "services": services,
        "networks": {"default": {"name": "shop_default"}},
        "volumes": {key: {"name": f"shop_{key}"} for key in ("data", "cache")},
    }
    images = {name: Image(reference="i", identity="sha256:1") for name in services}
    return Revision(stack="shop", number=7, created=datetime.now(UTC), salt="s", document=document, images=images)


def app(**services: Any) -> Stack:
    return drilled(revision(**services), ["data"]).definition


def service(**more: Any) -> Service:
    return app(db={**DB, **more}).services["db"]


def test_only_services_on_the_restored_volumes_run_once_each() -> None:
    needs = {"web": {"condition": "service_started", "required": True}}
    stack = app(db={**DB, "deploy": {"replicas": 3}, "depends_on": needs}, web={"image": "web"})
    assert list(stack.services) == ["db"]
    assert stack.services["db"].replicas == 1
    assert stack.services["db"].depends_on == {}


def test_it_is_a_stack_that_no_file_can_be_called() -> None:
    scratch = drilled(revision(db=DB), ["data"])
    assert (scratch.stack, scratch.definition.name) == ("shop.drill", "shop.drill")
    assert scratch_name("shop") == "shop.drill"


def test_there_is_no_way_out() -> None:
    dangerous = {
        "network_mode": "host",
        "privileged": True,
        "pid": "host",
        "extra_hosts": ["mail=10.0.0.1"],
        "cap_add": ["NET_ADMIN"],
        "devices": [{"source": "/dev/net/tun", "target": "/dev/net/tun", "permissions": "rwm"}],
        "restart": "always",
        "container_name": "db",
        "labels": {"traefik.enable": "true"},
        "logging": {"driver": "syslog", "options": {"syslog-address": "udp://10.0.0.1:514"}},
        "deploy": {
            "labels": {"traefik.enable": "true"},
            "resources": {"reservations": {"memory": "1024", "devices": [{"capabilities": ["gpu"]}]}},
        },
    }
    stack = app(db={**DB, **dangerous})
    assert service(ports=[{"target": 80, "published": "80"}]).ports == ()
    db = stack.services["db"]
    assert (db.logging.driver, db.logging.options, db.labels) == ("local", {}, {})
    assert (db.deploy.resources.reservations.devices, db.deploy.resources.reservations.memory) == ((), 1024)
    assert db.deploy.labels == {}
    assert (db.network_mode, db.privileged, db.pid, db.cap_add, db.devices) == (None, False, None, (), ())
    assert (db.extra_hosts, db.container_name, db.restart, db.dns) == ((), None, None, (NOWHERE,))
    (network,) = stack.networks.values()
    assert list(db.networks) == list(stack.networks)
    assert network.internal
    assert network.driver_opts == {"com.docker.network.bridge.inhibit_ipv4": "true"}


def test_it_writes_to_nothing_that_is_real() -> None:
    data, cache, bind = service().volumes
    assert app(db=DB).volumes["data"].name == "shop.drill_data"
    assert data.source == "data"
    assert cache.source is None
    assert (bind.read_only, bind.bind.create_host_path, bind.bind.recursive) == (True, False, "disabled")


def test_a_mount_that_is_a_way_out_is_left_out_and_named() -> None:
    sock = {"type": "bind", "source": "/var/run/docker.sock", "target": "/docker.sock"}
    scratch = drilled(revision(db={**DB, "volumes": [*DB["volumes"], sock]}), ["data"])
    assert binds(scratch) == ("/etc/app", "/var/run/docker.sock")
    shut, left_out = without(scratch, {"/var/run/docker.sock": "part of the running system"})
    assert left_out == ("db: /var/run/docker.sock: part of the running system",)
    assert [mount.target for mount in shut.definition.services["db"].volumes] == ["/data", "/cache", "/etc/app"]
    assert without(shut, {}) == (shut, ())


def view(key: str) -> BackupView:
    now = datetime.now(UTC)
    sizes = dict.fromkeys(("size_bytes", "data_bytes", "changed_bytes", "uploaded_bytes"), 0)
    return BackupView(
        name=f"shop/{key}",
        stack="shop",
        volume=key,
        backup=1,
        store="s",
        host="h",
        origin="o",
        created=now,
        **sizes,
    )


def test_backups_of_volumes_that_left_the_file_are_not_drilled_with_the_app_of_today() -> None:
    old, data = view("old"), view("data")
    views, warnings = of_one_file([data, old], revision(db=DB), None)
    assert views == (data,)
    assert warnings == ("shop/old is not drilled: the file has no such volume any more",)
    with pytest.raises(BackupError, match="shop/old left the file before release 7"):
        of_one_file([data, old], revision(db=DB), ["data", "old"])
