"""What a stack is: the Compose model in canonical long form, as far as Stampede acts on it.

Field names are the Compose Specification's. Values are parsed: durations are seconds, sizes are bytes, `$$` is `$`.
Read from what the reference `docker-compose config` prints (see resolve.py); never from a user's file directly.
Source: https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from stampede.frozen import Frozen
from stampede.stackfile.policies import DEFAULT_SIZE, BackupPolicy, Hooks, Size, SnapshotPolicy

_DURATION_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h|d|w)")


def parse_duration(value: Any) -> Any:
    """Seconds of a Compose duration such as `1m30s`; numbers pass. Raises ValueError for anything else."""
    if not isinstance(value, str):
        return value
    parts = _DURATION_PART.findall(value)
    if "".join(number + unit for number, unit in parts) != value or not parts:
        raise ValueError(f"{value!r} is not a duration such as 1m30s")
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)


Seconds = Annotated[float, BeforeValidator(parse_duration)]
Bytes = Annotated[int, BeforeValidator(lambda v: int(v) if isinstance(v, str) else v)]
Mode = Annotated[int, BeforeValidator(lambda v: int(v, 8) if isinstance(v, str) else v), Field(ge=0, le=0o7777)]
Cpus = Annotated[float, Field(ge=0)]


class HealthCheck(Frozen):
    """`test[0]` is NONE, CMD or CMD-SHELL. Unset ones take Docker's defaults: 30 s, 30 s, 3 tries, no start period."""

    test: tuple[str, ...] = ()
    interval: Seconds | None = None
    timeout: Seconds | None = None
    retries: int | None = None
    start_period: Seconds | None = None
    start_interval: Seconds | None = None
    disable: bool = False


class Dependency(Frozen):
    """What must be true of another service before this one starts."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = "service_started"
    restart: bool = False
    required: bool = True


class Port(Frozen):
    """One published port or range. `published` is None (chosen once, then kept), a port, or a range `7000-7010`."""

    target: int
    published: str | None = None
    host_ip: str | None = None
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    mode: Literal["ingress", "host"] = "ingress"
    app_protocol: str | None = None
    name: str | None = None


class UpdatePolicy(Frozen):
    """How replicas are replaced: `update_config`, and `rollback_config` for the way back."""

    parallelism: int = 1
    delay: Seconds = 0.0
    failure_action: Literal["continue", "pause", "rollback"] = "rollback"
    monitor: Seconds = 5.0
    max_failure_ratio: float = 0.0
    order: Literal["start-first", "stop-first"] | None = None


class RestartPolicy(Frozen):
    """`deploy.restart_policy`; takes precedence over `restart`."""

    condition: Literal["none", "on-failure", "any", "unless-stopped"] = "any"
    delay: Seconds | None = None
    max_attempts: int | None = None
    window: Seconds | None = None


class Resources(Frozen):
    cpus: Cpus | None = None
    memory: Bytes | None = None
    pids: int | None = None


class DeviceRequest(Frozen):
    capabilities: tuple[str, ...] = ()
    count: int | None = None
    device_ids: tuple[str, ...] = ()
    driver: str | None = None
    options: dict[str, str] = {}


class Reservations(Resources):
    devices: tuple[DeviceRequest, ...] = ()


class ResourceBounds(Frozen):
    limits: Resources = Resources()
    reservations: Reservations = Reservations()


class Placement(Frozen):
    constraints: tuple[str, ...] = ()
    preferences: tuple[dict[str, str], ...] = ()
    max_replicas_per_node: int | None = None


class Deploy(Frozen):
    mode: Literal["replicated", "global"] = "replicated"
    replicas: int | None = None
    labels: dict[str, str] = {}
    placement: Placement = Placement()
    resources: ResourceBounds = ResourceBounds()
    restart_policy: RestartPolicy | None = None
    update_config: UpdatePolicy = UpdatePolicy()
    rollback_config: UpdatePolicy | None = None


class Build(Frozen):
    """How to build the image. `context` is an absolute path on the host that builds, or a Git URL."""

    context: str
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    args: dict[str, str | None] = {}
    target: str | None = None
    labels: dict[str, str] = {}
    cache_from: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    network: str | None = None
    no_cache: bool = False
    pull: bool = False
    shm_size: Bytes | None = None
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


class Device(Frozen):
    source: str
    target: str | None = None
    permissions: str = "rwm"


class Ulimit(Frozen):
    soft: int
    hard: int

    @model_validator(mode="before")
    @classmethod
    def _one_number_is_both(cls, value: Any) -> Any:
        return {"soft": value, "hard": value} if isinstance(value, int) else value


class FileRef(Frozen):
    """A config or secret that a service mounts as a file."""

    source: str
    target: str | None = None
    uid: str | None = None
    gid: str | None = None
    mode: Mode | None = None


class Attachment(Frozen):
    """A service on a network."""

    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    mac_address: str | None = None
    priority: int | None = None
    driver_opts: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _nothing_said(cls, value: Any) -> Any:
        return {} if value is None else value


class BindOptions(Frozen):
    """`create_host_path` is true unless the file says otherwise: the reference prints it only where it is false."""

    propagation: str | None = None
    create_host_path: bool = True
    selinux: str | None = None
    recursive: str | None = None


class VolumeOptions(Frozen):
    nocopy: bool = False
    labels: dict[str, str] = {}


class TmpfsOptions(Frozen):
    size: Bytes | None = None
    mode: int | None = None


class Mount(Frozen):
    """A volume without `source` is anonymous: it goes with its instance, and over to its replacement."""

    type: Literal["volume", "bind", "tmpfs"]
    source: str | None = None
    target: str
    read_only: bool = False
    bind: BindOptions = BindOptions()
    volume: VolumeOptions = VolumeOptions()
    tmpfs: TmpfsOptions = TmpfsOptions()


class Logging(Frozen):
    driver: str | None = None
    options: dict[str, str] = {}


class Service(Frozen):
    """One service: what each of its instances is, how many there are, and how they are replaced."""

    image: str | None = None
    build: Build | None = None
    pull_policy: str | None = None
    platform: str | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str | None] = {}
    working_dir: str | None = None
    user: str | None = None
    group_add: tuple[str, ...] = ()
    hostname: str | None = None
    domainname: str | None = None
    container_name: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    tty: bool = False
    stdin_open: bool = False
    init: bool | None = None
    read_only: bool = False
    privileged: bool = False
    stop_signal: str | None = None
    stop_grace_period: Seconds | None = None
    restart: str | None = None
    healthcheck: HealthCheck | None = None
    logging: Logging = Logging()
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy = Deploy()
    scale: int | None = None

    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    networks: dict[str, Attachment] = {}
    network_mode: str | None = None
    links: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    mac_address: str | None = None

    volumes: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    configs: tuple[FileRef, ...] = ()
    secrets: tuple[FileRef, ...] = ()
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()

    cpus: Cpus | None = None
    cpu_count: int | None = None
    cpu_percent: float | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_rt_period: int | None = None
    cpu_rt_runtime: int | None = None
    cpu_shares: int | None = None
    cpuset: str | None = None
    mem_limit: Bytes | None = None
    mem_reservation: Bytes | None = None
    mem_swappiness: int | None = None
    memswap_limit: Bytes | None = None
    oom_kill_disable: bool = False
    oom_score_adj: int | None = None
    pids_limit: int | None = None
    shm_size: Bytes | None = None
    storage_opt: dict[str, str] = {}
    blkio_config: dict[str, Any] | None = None
    ulimits: dict[str, Ulimit] = {}
    sysctls: dict[str, str] = {}
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    cgroup: str | None = None
    cgroup_parent: str | None = None
    ipc: str | None = None
    pid: str | None = None
    uts: str | None = None
    userns_mode: str | None = None
    runtime: str | None = None
    gpus: tuple[DeviceRequest, ...] = ()
    hooks: Hooks = Field(default=Hooks(), validation_alias=AliasChoices("x-hooks", "hooks"))

    @property
    def replicas(self) -> int:
        """How many instances there shall be: `deploy.replicas`, else `scale`, else one."""
        if self.deploy.replicas is not None:
            return self.deploy.replicas
        return 1 if self.scale is None else self.scale


class IpamConfig(Frozen):
    subnet: str | None = None
    gateway: str | None = None
    ip_range: str | None = None
    aux_addresses: dict[str, str] = {}


class Ipam(Frozen):
    driver: str | None = None
    config: tuple[IpamConfig, ...] = ()
    options: dict[str, str] = {}


class Network(Frozen):
    """`name` is what Docker calls it."""

    name: str
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    external: bool = False
    internal: bool = False
    attachable: bool = False
    ipam: Ipam = Ipam()
    labels: dict[str, str] = {}
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


class Volume(Frozen):
    """`name` is what Docker calls it. With any of `size`, `snapshots` and `backups` it is a managed volume."""

    name: str
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    external: bool = False
    labels: dict[str, str] = {}
    size: Size | None = Field(default=None, validation_alias=AliasChoices("x-size", "size"))
    snapshots: SnapshotPolicy | None = Field(default=None, validation_alias=AliasChoices("x-snapshots", "snapshots"))
    backups: BackupPolicy | None = Field(default=None, validation_alias=AliasChoices("x-backups", "backups"))

    @property
    def managed(self) -> bool:
        """Whether its data lies in the pool of its host."""
        return not (self.size is None and self.snapshots is None and self.backups is None)

    @property
    def size_bytes(self) -> int:
        """What a managed volume can hold."""
        return DEFAULT_SIZE if self.size is None else self.size


class Document(Frozen):
    """A config or a secret: its content, taken from `content`, `file` or `environment` where the stack was resolved."""

    name: str
    content: str = ""
    external: bool = False
    labels: dict[str, str] = {}


class Stack(Frozen):
    """A whole stack, resolved: nothing in it refers to a file, an environment or another service's definition."""

    name: str
    services: dict[str, Service] = {}
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}
    configs: dict[str, Document] = {}
    secrets: dict[str, Document] = {}
    extensions: dict[str, Any] = Field(default={}, description="foreign x- keys, kept as they are")
