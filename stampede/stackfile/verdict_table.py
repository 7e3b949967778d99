"""The table of verdicts: every key path of the Compose Specification's schema, in one place.

`*` stands for any name and `[]` for any item. docs/compose.md is written from it, the loader applies it, and a test
holds it against the list of key paths. Source of the paths: https://github.com/compose-spec/compose-spec (2026-06).
"""

from __future__ import annotations

from itertools import chain

from stampede.stackfile.verdict import Verdict, acted, no_effect, refused, resolved

_T = "tests/functional/compose/"
_N = f"{_T}test_newer_docker.py::"  # API 1.45, under the marker `debian`
_A = "tests/functional/stack/"
_BALANCED = f"{_A}test_verbs.py::test_a_deploy_of_two_services_answers_behind_the_balancer"
_NAMED = f"{_A}test_verbs.py::test_ps_lists_instances_with_what_programs_need"
_SCALED = f"{_A}test_verbs.py::test_scaling_adds_and_removes_replicas_and_leaves_the_others_alone"
_NEEDED = f"{_A}test_dependencies.py::test_a_service_starts_when_the_one_it_needs_is_healthy"
_DRAGGED = f"{_A}test_dependencies.py::test_depends_on_restart_restarts_the_one_that_depends"
_PAUSED = f"{_A}test_failing_updates.py::test_failure_action_pause_leaves_the_failed_one_to_be_looked_at"
_LOADED = f"{_A}test_under_load.py::test_update_and_rollback_under_load_lose_no_request"
_KEYS = f"{_A}test_deploy_keys.py::test_"
_R = "tests/unit/stackfile/test_reference.py::"
_S = "services.*"
_BUILD_YOURSELF = "build the image beforehand and name it with image"
_LIFECYCLE = "lifecycle hooks are not run"
_NO_OBJECT = "it is a file on the host, which carries no labels"
_SWARM_ONLY = "only Docker Swarm keeps such objects"
_SUBNET = "Stampede hands out IPv4 addresses"
_IPC = "private|shareable|host|none|service:.+|"
_OURS = "containers that are not ours come and go unseen: make it a service and say service:NAME"
_ONE_HOST = "there is one host so far"
_NO_JOBS = "say replicated or global"
_SAY_RESTART = "say no, always, on-failure[:n] or unless-stopped"
_RESTART = r"no|always|unless-stopped|on-failure(:\d+)?"

_TOP = chain(
    acted("", "name", _NAMED),
    no_effect("", "version", "the Compose Specification has no versions any more"),
    resolved("", "include include.[].env_file include.[].path include.[].project_directory", f"{_R}test_include"),
    acted("", "services services.*", _BALANCED),
    acted("", "networks networks.*", f"{_T}test_networks.py::test_services_share_only_the_networks_they_name"),
    acted("", "volumes volumes.*", f"{_T}test_volumes.py::test_named_volume_outlives_its_container"),
    acted("", "configs configs.* configs.*.content", f"{_T}test_files.py::test_config_content"),
    acted("", "secrets secrets.*", f"{_T}test_files.py::test_secret_file"),
    refused(
        "",
        "models models.* models.*.context_size models.*.model models.*.name models.*.runtime_flags",
        "Stampede runs no Docker Model Runner",
        "run the model as a service",
    ),
)
_DOCUMENTS = chain(
    acted("configs.*", "file", f"{_T}test_files.py::test_config_file"),
    acted("configs.*", "environment", f"{_T}test_files.py::test_config_of_a_variable"),
    acted("secrets.*", "file", f"{_T}test_files.py::test_secret_file"),
    acted("secrets.*", "environment", f"{_T}test_files.py::test_secret_of_a_variable"),
    no_effect("configs.*", "labels", _NO_OBJECT),
    no_effect("secrets.*", "labels", _NO_OBJECT),
    no_effect("configs.*", "name", "it is a file on the host, known by its key", silent=("{stack}_{name}",)),
    no_effect("secrets.*", "name", "it is a file on the host, known by its key", silent=("{stack}_{name}",)),
    refused("configs.*", "external external.name", _SWARM_ONLY, "say file, environment or content"),
    refused("secrets.*", "external external.name driver driver_opts", _SWARM_ONLY, "say file or environment"),
    refused("configs.*", "template_driver", "templates are not filled in", "use $-interpolation in content"),
    refused("secrets.*", "template_driver", "templates are not filled in", "fill it in beforehand"),
)
_NETWORKS = chain(
    acted(
        "networks.*",
        "driver",
        f"{_T}test_networks.py::test_network_is_a_bridge",
        only="bridge|default|",
        fix="leave driver out: a network of Stampede is a bridge on every host",
    ),
    acted("networks.*", "driver_opts", f"{_T}test_networks.py::test_network_driver_options"),
    acted("networks.*", "external external.name", f"{_T}test_networks.py::test_external_network"),
    acted("networks.*", "internal", f"{_T}test_networks.py::test_internal_network_has_no_way_out"),
    acted("networks.*", "labels", f"{_T}test_networks.py::test_network_labels"),
    acted("networks.*", "name", f"{_T}test_networks.py::test_network_name"),
    no_effect("networks.*", "attachable", "any container can be attached to a bridge network"),
    acted("networks.*", "ipam ipam.config ipam.config.[].subnet", f"{_T}test_networks.py::test_subnet_of_the_file"),
    acted("networks.*", "ipam.config.[].gateway", f"{_T}test_networks.py::test_gateway_of_the_file"),
    acted("networks.*", "ipam.config.[].ip_range", f"{_T}test_networks.py::test_ip_range_of_the_file"),
    acted("networks.*", "ipam.config.[].aux_addresses", f"{_T}test_networks.py::test_auxiliary_addresses"),
    acted(
        "networks.*",
        "ipam.driver",
        f"{_T}test_networks.py::test_subnet_of_the_file",
        only="default|",
        fix="leave ipam.driver out",
    ),
    refused("networks.*", "ipam.options", "Docker's own address management has none", "leave ipam.options out"),
    acted(
        "networks.*",
        "enable_ipv4",
        f"{_T}test_networks.py::test_network_is_a_bridge",
        only="true",
        fix=f"leave enable_ipv4 out: {_SUBNET}",
    ),
    refused("networks.*", "enable_ipv6", _SUBNET, "leave enable_ipv6 out"),
)
_VOLUMES = chain(
    acted("volumes.*", "driver driver_opts", f"{_T}test_volumes.py::test_volume_driver_options"),
    acted("volumes.*", "external external.name", f"{_T}test_volumes.py::test_external_volume"),
    acted("volumes.*", "labels", f"{_T}test_volumes.py::test_volume_labels"),
    acted("volumes.*", "name", f"{_T}test_volumes.py::test_volume_name"),
)
_PROCESS = chain(
    acted(_S, "image", _BALANCED),
    acted(_S, "command", f"{_T}test_process.py::test_command"),
    acted(_S, "entrypoint", f"{_T}test_process.py::test_entrypoint"),
    acted(_S, "environment", f"{_T}test_process.py::test_environment"),
    acted(_S, "working_dir", f"{_T}test_process.py::test_working_dir"),
    acted(_S, "user", f"{_T}test_process.py::test_user"),
    acted(_S, "group_add", f"{_T}test_process.py::test_group_add"),
    acted(_S, "hostname domainname", f"{_T}test_process.py::test_hostname_and_domainname"),
    acted(_S, "container_name", f"{_T}test_process.py::test_container_name"),
    acted(_S, "labels", f"{_T}test_process.py::test_labels"),
    acted(_S, "annotations", f"{_N}test_annotations", min_api="1.43"),
    acted(_S, "tty stdin_open", f"{_T}test_process.py::test_tty_and_stdin_open"),
    acted(_S, "init", f"{_T}test_process.py::test_init"),
    acted(_S, "read_only", f"{_T}test_process.py::test_read_only"),
    acted(_S, "stop_signal", f"{_T}test_process.py::test_stop_signal"),
    acted(_S, "stop_grace_period", f"{_T}test_process.py::test_stop_grace_period"),
    acted(_S, "restart", f"{_T}test_process.py::test_restart", only=_RESTART, fix=_SAY_RESTART),
    acted(_S, "logging logging.driver logging.options", f"{_T}test_process.py::test_logging"),
    acted(_S, "pull_policy", f"{_T}test_images.py::test_pull_policy"),
    acted(_S, "platform", f"{_T}test_images.py::test_platform"),
    resolved(_S, "env_file env_file.[].format env_file.[].path env_file.[].required", f"{_R}test_env_file"),
    resolved(_S, "extends extends.file extends.service", f"{_R}test_extends"),
    resolved(_S, "label_file", f"{_R}test_label_file"),
    resolved(_S, "profiles", f"{_R}test_profiles"),
    no_effect(_S, "attach", "a deploy attaches to no output; stampede logs shows it"),
    no_effect(
        _S,
        """develop develop.watch develop.watch.[].action develop.watch.[].exec develop.watch.[].exec.command
        develop.watch.[].exec.environment develop.watch.[].exec.privileged develop.watch.[].exec.user
        develop.watch.[].exec.working_dir develop.watch.[].ignore develop.watch.[].include
        develop.watch.[].initial_sync develop.watch.[].path develop.watch.[].target""",
        "it serves `docker compose watch` on a developer's machine",
    ),
    refused(_S, "pull_refresh_after", "images are not pulled again by age", "say pull_policy"),
    refused(
        _S,
        """post_start post_start.[].command post_start.[].environment post_start.[].privileged post_start.[].user
        post_start.[].working_dir""",
        _LIFECYCLE,
        "let the image's entrypoint do it",
    ),
    refused(
        _S,
        """pre_stop pre_stop.[].command pre_stop.[].environment pre_stop.[].privileged pre_stop.[].user
        pre_stop.[].working_dir""",
        _LIFECYCLE,
        "let the program act on its stop_signal",
    ),
    refused(
        _S,
        "pre_start",
        _LIFECYCLE,
        "make it a service of its own, and depend on it with condition: service_completed_successfully",
    ),
    refused(
        _S,
        "credential_spec credential_spec.config credential_spec.file credential_spec.registry",
        "it is for Windows containers",
        "leave credential_spec out",
    ),
    refused(_S, "isolation", "it is for Windows containers", "leave isolation out", silent=("default",)),
    refused(
        _S,
        "models models.*.endpoint_var models.*.model_var",
        "Stampede runs no Docker Model Runner",
        "run the model as a service",
    ),
    refused(_S, "provider provider.options provider.type", "no foreign programs are run", "make it a container"),
    refused(_S, "use_api_socket", "no credentials are lent", "mount /var/run/docker.sock, and know what that allows"),
)
_BUILD = chain(
    acted(_S, "build build.context build.dockerfile", f"{_T}test_build.py::test_build"),
    acted(_S, "build.dockerfile_inline", f"{_T}test_build.py::test_dockerfile_inline"),
    acted(_S, "build.args", f"{_T}test_build.py::test_build_arguments"),
    acted(_S, "build.target", f"{_T}test_build.py::test_build_target"),
    acted(_S, "build.labels build.tags", f"{_T}test_build.py::test_labels_and_tags_of_a_build"),
    acted(
        _S,
        "build.cache_from build.extra_hosts build.network build.no_cache build.pull build.shm_size build.platforms",
        f"{_T}test_build.py::test_build_options_reach_the_builder",
    ),
    no_effect(_S, "build.cache_to", "the build cache stays on the host that builds"),
    no_effect(_S, "build.provenance build.sbom", "images are not pushed, so nothing carries attestations"),
    refused(
        _S,
        """build.additional_contexts build.entitlements build.isolation build.privileged build.secrets
        build.secrets.[].gid build.secrets.[].mode build.secrets.[].source build.secrets.[].target
        build.secrets.[].uid build.ssh build.ulimits build.ulimits.*.hard build.ulimits.*.soft""",
        "the classic builder knows no such thing",
        _BUILD_YOURSELF,
    ),
)
_DEPENDENCIES = chain(
    acted(_S, "depends_on depends_on.*", _NEEDED),
    acted(_S, "depends_on.*.condition", _NEEDED),
    acted(_S, "depends_on.*.required", f"{_A}test_dependencies.py::test_an_optional_dependency"),
    acted(_S, "depends_on.*.restart", _DRAGGED),
    acted(
        _S,
        "healthcheck healthcheck.test healthcheck.interval healthcheck.retries healthcheck.timeout",
        f"{_T}test_health.py::test_healthcheck",
    ),
    acted(_S, "healthcheck.disable", f"{_T}test_health.py::test_healthcheck_disabled"),
    acted(_S, "healthcheck.start_period", f"{_T}test_health.py::test_start_period"),
    acted(_S, "healthcheck.start_interval", f"{_T}test_health.py::test_start_interval"),
)
_DEPLOY = chain(
    acted(_S, "scale deploy deploy.replicas", _SCALED),
    acted(
        _S, "deploy.mode", f"{_KEYS}global_mode_runs_one_instance_on_every_host", only="replicated|global", fix=_NO_JOBS
    ),
    no_effect(_S, "deploy.labels", "there is no object for a service; say labels"),
    no_effect(_S, "deploy.endpoint_mode", "a service's name resolves to its replicas", silent=("dnsrr",)),
    no_effect(_S, "deploy.placement.constraints", _ONE_HOST),
    no_effect(_S, "deploy.placement.preferences deploy.placement.preferences.[].spread", _ONE_HOST),
    acted(_S, "deploy.placement deploy.placement.max_replicas_per_node", f"{_KEYS}max_replicas_per_node"),
    acted(
        _S,
        "deploy.resources deploy.resources.limits deploy.resources.limits.cpus deploy.resources.limits.memory",
        f"{_T}test_resources.py::test_deploy_limits",
    ),
    acted(_S, "deploy.resources.limits.pids", f"{_T}test_resources.py::test_pids_limit"),
    acted(
        _S,
        "deploy.resources.reservations deploy.resources.reservations.memory",
        f"{_T}test_resources.py::test_reservations",
    ),
    no_effect(_S, "deploy.resources.reservations.cpus", _ONE_HOST),
    acted(
        f"{_S}.deploy.resources.reservations.devices",
        ". [].capabilities [].count [].device_ids [].driver [].options",
        f"{_T}test_devices.py::test_device_requests",
    ),
    refused(
        f"{_S}.deploy.resources.reservations.generic_resources",
        ". [].discrete_resource_spec [].discrete_resource_spec.kind [].discrete_resource_spec.value",
        "hosts announce no generic resources",
        "say deploy.placement.constraints",
    ),
    acted(f"{_S}.deploy.restart_policy", ". condition max_attempts", f"{_T}test_deploy.py::test_restart_policy"),
    no_effect(f"{_S}.deploy.restart_policy", "delay window", "Docker backs off by itself, from 0.1 s to a minute"),
    acted(f"{_S}.deploy.update_config", ". parallelism delay", f"{_KEYS}replicas_are_updated_in_waves_with_a_pause"),
    acted(f"{_S}.deploy.update_config", "order", f"{_KEYS}stop_first_stops_the_old_one_before_the_new_one_starts"),
    acted(f"{_S}.deploy.update_config", "failure_action max_failure_ratio monitor", _PAUSED),
    acted(
        f"{_S}.deploy.rollback_config",
        ". parallelism delay failure_action max_failure_ratio monitor order",
        f"{_KEYS}the_way_back_follows_rollback_config",
    ),
)
_REACH = chain(
    acted(f"{_S}.ports", ". [].target [].published", _BALANCED),
    acted(_S, "ports.[].host_ip", f"{_T}test_ports.py::test_host_address"),
    acted(_S, "ports.[].protocol", f"{_T}test_ports.py::test_udp_port"),
    acted(_S, "ports.[].mode", f"{_T}test_ports.py::test_host_mode"),
    acted(_S, "ports.[].app_protocol", _LOADED),
    no_effect(_S, "ports.[].name", "it is a note for people"),
    acted(_S, "expose", f"{_T}test_ports.py::test_expose"),
    acted(_S, "networks networks.*", f"{_T}test_networks.py::test_services_share_only_the_networks_they_name"),
    acted(_S, "networks.*.aliases", f"{_T}test_networks.py::test_aliases"),
    acted(_S, "networks.*.ipv4_address", f"{_T}test_networks.py::test_fixed_address"),
    acted(_S, "networks.*.driver_opts", f"{_T}test_networks.py::test_attachment_options"),
    acted(_S, "networks.*.priority", f"{_T}test_networks.py::test_network_priority"),
    acted(_S, "networks.*.mac_address", f"{_N}test_mac_address_on_each_network", min_api="1.44"),
    refused(_S, "networks.*.gw_priority", "it needs Docker API 1.48, untested so far", "leave gw_priority out"),
    refused(_S, "networks.*.interface_name", "it needs Docker API 1.49, untested so far", "leave interface_name out"),
    refused(_S, "networks.*.ipv6_address", _SUBNET, "say ipv4_address"),
    refused(_S, "networks.*.link_local_ips", _SUBNET, "leave link_local_ips out"),
    acted(
        _S,
        "network_mode",
        f"{_T}test_networks.py::test_network_mode",
        only="host|none|bridge|service:.+",
        fix=_OURS,
    ),
    acted(_S, "links", f"{_T}test_networks.py::test_links"),
    refused(_S, "external_links", "containers that are not ours come and go unseen", "share an external network"),
    acted(_S, "dns dns_opt dns_search", f"{_T}test_networks.py::test_dns"),
    acted(_S, "extra_hosts", f"{_T}test_networks.py::test_extra_hosts"),
    acted(_S, "mac_address", f"{_T}test_networks.py::test_mac_address"),
)
_FILES = chain(
    acted(f"{_S}.volumes", ". [].source [].target", f"{_T}test_volumes.py::test_named_volume_outlives_its_container"),
    acted(
        _S,
        "volumes.[].type",
        f"{_T}test_volumes.py::test_kinds_of_mounts",
        only="volume|bind|tmpfs",
        fix="volume, bind and tmpfs are acted on",
    ),
    acted(_S, "volumes.[].read_only", f"{_T}test_volumes.py::test_read_only_mount"),
    acted(f"{_S}.volumes.[].bind", ". create_host_path propagation selinux", f"{_T}test_volumes.py::test_bind_options"),
    acted(_S, "volumes.[].bind.recursive", f"{_N}test_recursive_bind", min_api="1.44"),
    acted(f"{_S}.volumes.[].volume", ". nocopy labels", f"{_T}test_volumes.py::test_volume_options"),
    refused(
        _S,
        "volumes.[].volume.subpath volumes.[].image volumes.[].image.subpath",
        "it needs Docker API 1.45 or 1.48, untested so far",
        "mount the whole volume",
    ),
    acted(f"{_S}.volumes.[].tmpfs", ". mode size", f"{_T}test_volumes.py::test_tmpfs_mount"),
    no_effect(_S, "volumes.[].consistency", "it is for Docker Desktop"),
    refused(_S, "volumes_from", "mounts of other containers are not copied", "name the volumes in both services"),
    acted(_S, "tmpfs", f"{_T}test_volumes.py::test_tmpfs"),
    acted(f"{_S}.configs", ". [].source [].target", f"{_T}test_files.py::test_config_file"),
    acted(_S, "configs.[].gid configs.[].mode configs.[].uid", f"{_T}test_files.py::test_owner_and_mode"),
    acted(f"{_S}.secrets", ". [].source [].target", f"{_T}test_files.py::test_secret_file"),
    acted(_S, "secrets.[].gid secrets.[].mode secrets.[].uid", f"{_T}test_files.py::test_owner_and_mode"),
)
_RESOURCES = chain(
    acted(_S, "cpus cpu_period cpu_quota cpu_shares cpuset", f"{_T}test_resources.py::test_cpu_limits"),
    acted(_S, "cpu_rt_period cpu_rt_runtime", f"{_T}test_resources.py::test_realtime_limits_or_a_refusal"),
    no_effect(_S, "cpu_count cpu_percent", "they are for Windows containers"),
    acted(_S, "mem_limit memswap_limit mem_reservation", f"{_T}test_resources.py::test_memory_limit"),
    acted(_S, "mem_swappiness oom_kill_disable oom_score_adj", f"{_T}test_resources.py::test_out_of_memory_settings"),
    acted(_S, "pids_limit", f"{_T}test_resources.py::test_pids_limit"),
    acted(_S, "shm_size", f"{_T}test_resources.py::test_shm_size"),
    acted(_S, "storage_opt", f"{_T}test_resources.py::test_storage_options_or_a_refusal"),
    acted(
        f"{_S}.blkio_config",
        """. weight weight_device weight_device.[].path weight_device.[].weight device_read_bps device_read_bps.[].path
        device_read_bps.[].rate device_read_iops device_read_iops.[].path device_read_iops.[].rate device_write_bps
        device_write_bps.[].path device_write_bps.[].rate device_write_iops device_write_iops.[].path
        device_write_iops.[].rate""",
        f"{_T}test_resources.py::test_block_io_limits",
    ),
    acted(f"{_S}.ulimits", ". * *.hard *.soft", f"{_T}test_resources.py::test_ulimits"),
    acted(_S, "sysctls", f"{_T}test_security.py::test_sysctls"),
    acted(_S, "cap_add cap_drop", f"{_T}test_security.py::test_capabilities"),
    acted(_S, "privileged", f"{_T}test_security.py::test_privileged"),
    acted(_S, "security_opt", f"{_T}test_security.py::test_security_options"),
    acted(_S, "cgroup cgroup_parent", f"{_T}test_security.py::test_control_groups"),
    acted(_S, "ipc", f"{_T}test_security.py::test_ipc", only=_IPC, fix=_OURS),
    acted(_S, "pid", f"{_T}test_security.py::test_pid", only="host|service:.+|", fix=_OURS),
    acted(
        _S,
        "uts userns_mode",
        f"{_T}test_security.py::test_uts_and_user_namespaces",
        only="host|",
        fix="say host, or leave it out",
    ),
    acted(_S, "runtime", f"{_T}test_security.py::test_runtime"),
    acted(
        _S,
        "devices devices.[].permissions devices.[].source devices.[].target device_cgroup_rules",
        f"{_T}test_devices.py::test_devices",
    ),
    acted(
        f"{_S}.gpus",
        ". [].capabilities [].count [].device_ids [].driver [].options",
        f"{_T}test_devices.py::test_device_requests",
    ),
)

VERDICTS: dict[str, Verdict] = dict(
    chain(_TOP, _DOCUMENTS, _NETWORKS, _VOLUMES, _PROCESS, _BUILD, _DEPENDENCIES, _DEPLOY, _REACH, _FILES, _RESOURCES)
)
