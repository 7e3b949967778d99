"""The body of Docker's create call for an instance. Pure.

Source: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stampede.containers.image_names import kept_tag
from stampede.containers.log_config import log_config
from stampede.containers.mounts import memory_mounts, mounts, plain_binds
from stampede.containers.networking import (
    endpoint,
    mac_address,
    network_mode,
    networks_of_create,
    shared_namespace,
)
from stampede.containers.ports import exposed_ports, port_bindings
from stampede.containers.resources import resources
from stampede.containers.restart import restart_policy
from stampede.containers.traits import Traits
from stampede.planning import identity
from stampede.planning.instances import Instance
from stampede.stackfile.models import HealthCheck, Service

_NANO = 1_000_000_000
_START_INTERVAL_SINCE = (1, 44)
_ANNOTATIONS_SINCE = (1, 43)


def create_body(
    instance: Instance,
    *,
    addresses: Mapping[str, str],
    files_dir: Path,
    labels: Mapping[str, str],
    host_ports: Mapping[str, int] | None = None,
    anonymous_volumes: Mapping[str, str] | None = None,
    container_of_service: Mapping[str, str] | None = None,
    traits: Traits | None = None,
) -> dict[str, Any]:
    """What POST /containers/create takes, for API 1.41 and later.

    The container is attached to `networks_of_create`; the others are connected before it starts (`ordered_networks`).
    `addresses` is keyed by Docker's name of the network, `host_ports` like `53/udp`, `container_of_service` names the
    container for `network_mode`, `pid` or `ipc: service:x`. `labels` are ours (identity.labels_of); they win over
    the file's. Ports that the balancer serves are not published.
    """
    service, traits, chosen = instance.spec, traits or Traits(), dict(host_ports or {})
    containers = container_of_service or {}
    body: dict[str, Any] = {
        **_process(service),
        "Image": kept_tag(instance.stack, instance.service, instance.image.identity),
        "Labels": {**service.labels, **labels, **({identity.PORTS: json.dumps(chosen)} if chosen else {})},
        "ExposedPorts": exposed_ports(service),
        "HostConfig": {
            **_host_config(service, containers),
            **resources(service),
            "NetworkMode": network_mode(instance, containers),
            "PortBindings": port_bindings(service, chosen),
            "Binds": plain_binds(instance),
            "Mounts": mounts(instance, files_dir=files_dir, labels=labels, anonymous_volumes=anonymous_volumes or {}),
            "LogConfig": log_config(service.logging, traits.log_driver),
        },
    }
    if service.healthcheck is not None:
        body["Healthcheck"] = health_check(service.healthcheck, traits)
    if service.annotations and traits.api >= _ANNOTATIONS_SINCE:
        body["HostConfig"]["Annotations"] = dict(service.annotations)
    networks = networks_of_create(instance, traits)
    if networks:
        ends = {name: endpoint(instance, name, addresses.get(name), traits) for name in networks}
        body["NetworkingConfig"] = {"EndpointsConfig": ends}
        mac = mac_address(instance, networks[0])
        body.update({"MacAddress": mac} if mac else {})
    elif service.mac_address:
        body["MacAddress"] = service.mac_address
    return body


def health_check(check: HealthCheck, traits: Traits) -> dict[str, Any]:
    """Config.Healthcheck in nanoseconds; what is 0 or left out, Docker takes from the image or its defaults."""
    if check.disable:
        return {"Test": ["NONE"]}
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval if traits.api >= _START_INTERVAL_SINCE else None,
    }
    return {
        "Test": list(check.test),
        "Retries": check.retries or 0,
        **{key: round(seconds * _NANO) for key, seconds in times.items() if seconds is not None},
    }


def _process(service: Service) -> dict[str, Any]:
    """The program and its surroundings. A variable without a value takes away the one that the image sets."""
    said: dict[str, Any] = {
        "Hostname": service.hostname,
        "Domainname": service.domainname,
        "User": service.user,
        "WorkingDir": service.working_dir,
        "Cmd": None if service.command is None else list(service.command),
        "Entrypoint": None if service.entrypoint is None else list(service.entrypoint),
        "StopSignal": service.stop_signal,
        "StopTimeout": None if service.stop_grace_period is None else math.ceil(service.stop_grace_period),
    }
    return {
        **{key: value for key, value in said.items() if value is not None},
        "Tty": service.tty,
        "OpenStdin": service.stdin_open,
        "Env": [name if value is None else f"{name}={value}" for name, value in sorted(service.environment.items())],
    }


def _host_config(service: Service, containers: Mapping[str, str]) -> dict[str, Any]:
    """Isolation, names and restarts."""
    said: dict[str, Any] = {
        "Init": service.init,
        "CgroupnsMode": service.cgroup,
        "IpcMode": shared_namespace(service.ipc, containers),
        "PidMode": shared_namespace(service.pid, containers),
        "UTSMode": service.uts,
        "UsernsMode": service.userns_mode,
        "Runtime": service.runtime,
    }
    return {
        **{key: value for key, value in said.items() if value is not None},
        "RestartPolicy": restart_policy(service),
        "Privileged": service.privileged,
        "ReadonlyRootfs": service.read_only,
        "CapAdd": list(service.cap_add),
        "CapDrop": list(service.cap_drop),
        "SecurityOpt": list(service.security_opt),
        "GroupAdd": list(service.group_add),
        "Sysctls": dict(service.sysctls),
        "Tmpfs": memory_mounts(service.tmpfs),
        "Dns": list(service.dns),
        "DnsOptions": list(service.dns_opt),
        "DnsSearch": list(service.dns_search),
        "ExtraHosts": [entry.replace("=", ":", 1) if "=" in entry else entry for entry in service.extra_hosts],
    }
