"""Networks of a stack, and how its services are reached by name on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import docker as sdk
import pytest

from stampede.programs import run
from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]
HTTPD = "command: [httpd, -f, -p, '8080', -h, /www], stop_grace_period: 1s"
SERVED = f"{{image: 'stampede-test/busybox:1', {HTTPD}"
CLIENT = "{image: 'stampede-test/busybox:1', command: [sleep, '600'], stop_grace_period: 1s"


def network(project: Project, name: str = "default") -> dict[str, object]:
    said: dict[str, object] = project.client.api.inspect_network(project.stack.networks[name].name)
    return said


def pool(project: Project, name: str = "default") -> dict[str, object]:
    (config,) = network(project, name)["IPAM"]["Config"]  # type: ignore[index]
    return dict(config)


def test_network_is_a_bridge(web: Web) -> None:
    """With a subnet that we chose and an address that we gave, which stays for the container's life."""
    project = web("expose: ['80']", more="networks: {default: {driver: bridge, enable_ipv4: true}}")
    said = network(project)
    assert said["Driver"] == "bridge"
    assert str(pool(project)["Subnet"]).startswith("10.144.")
    (found,) = project.docker.found("h1", project.name).instances
    assert f"{found.addresses[str(said['Name'])]}/24" in project.sh("ip addr show eth0")
    project.container().restart(timeout=0)
    assert f"{found.addresses[str(said['Name'])]}/24" in project.sh("ip addr show eth0")


def test_services_share_only_the_networks_they_name(project: Project) -> None:
    project.up(f"""
        services:
          db: {SERVED}, networks: [back]}}
          app: {CLIENT}, networks: [front, back]}}
          web: {CLIENT}, networks: [front]}}
        networks: {{front: {{}}, back: {{}}}}
        """)
    assert project.sh("wget -qO- http://db:8080/", "app") == "hello"
    assert project.fails("nslookup db", "web")


def test_network_driver_options(web: Web) -> None:
    project = web(more="networks: {default: {driver_opts: {com.docker.network.driver.mtu: '1400'}}}")
    assert "mtu 1400" in project.sh("ip link show eth0")


@pytest.fixture
def foreign_network(docker_client: sdk.DockerClient, stack_name: str) -> Iterator[str]:
    made = docker_client.networks.create(f"{stack_name}-foreign")
    yield str(made.name)
    for container in docker_client.containers.list(all=True, filters={"label": f"stampede.stack={stack_name}"}):
        container.remove(force=True)
    made.remove()


def test_external_network(web: Web, foreign_network: str) -> None:
    project = web(more=f"networks: {{default: {{external: true, name: {foreign_network}}}}}")
    assert list(project.inspect()["NetworkSettings"]["Networks"]) == [foreign_network]


def test_internal_network_has_no_way_out(web: Web) -> None:
    project = web(more="networks: {default: {internal: true}}")
    assert network(project)["Internal"] is True
    rules = run(["iptables", "-S"]).out.splitlines()
    ways_out = [rule for rule in rules if f"! -d {pool(project)['Subnet']}" in rule]
    assert ways_out
    assert all(rule.endswith("-j DROP") for rule in ways_out)


def test_network_labels(web: Web) -> None:
    labels = network(web(more="networks: {default: {labels: {team: blue}}}"))["Labels"]
    assert labels["team"] == "blue"  # type: ignore[index]


def test_network_name(web: Web, stack_name: str) -> None:
    project = web(more=f"networks: {{default: {{name: {stack_name}-by-name}}}}")
    assert [found.name for found in project.docker.found("h1", project.name).networks] == [f"{stack_name}-by-name"]


def ipam(text: str) -> str:
    return f"networks: {{default: {{ipam: {{config: [{text}]}}}}}}"


def test_subnet_of_the_file(web: Web) -> None:
    project = web(more=ipam("{subnet: 10.145.1.0/24}"))
    assert pool(project)["Subnet"] == "10.145.1.0/24"
    assert "10.145.1." in project.sh("ip addr show eth0")


def test_gateway_of_the_file(web: Web) -> None:
    project = web(more=ipam("{subnet: 10.145.2.0/24, gateway: 10.145.2.254}"))
    assert "default via 10.145.2.254" in project.sh("ip route")


def test_ip_range_of_the_file(web: Web) -> None:
    project = web(more=ipam("{subnet: 10.145.3.0/24, ip_range: 10.145.3.128/25}"))
    assert pool(project)["IPRange"] == "10.145.3.128/25"


def test_auxiliary_addresses(web: Web) -> None:
    project = web(more=ipam("{subnet: 10.145.4.0/24, aux_addresses: {router: 10.145.4.9}}"))
    assert pool(project)["AuxiliaryAddresses"] == {"router": "10.145.4.9"}


def test_aliases(project: Project) -> None:
    project.up(f"""
        services:
          db: {SERVED}, networks: {{default: {{aliases: [database]}}}}}}
          web: {CLIENT}}}
        """)
    for name in ("database", "db", f"{project.name}-db-1"):
        assert project.sh(f"wget -qO- http://{name}:8080/") == "hello"


def test_links(project: Project) -> None:
    project.up(f"""
        services:
          db: {SERVED}}}
          web: {CLIENT}, links: ["db:store"]}}
        """)
    assert project.sh("wget -qO- http://store:8080/") == "hello"


def test_fixed_address(web: Web) -> None:
    keys = "networks: {default: {ipv4_address: 10.145.5.77}}"
    assert "10.145.5.77/24" in web(keys, more=ipam("{subnet: 10.145.5.0/24}")).sh("ip addr show eth0")


def test_attachment_options(web: Web) -> None:
    project = web("networks: {default: {driver_opts: {com.example.note: '1'}}}")
    (end,) = project.inspect()["NetworkSettings"]["Networks"].values()
    assert end["DriverOpts"] == {"com.example.note": "1"}


def test_network_priority(web: Web, stack_name: str) -> None:
    """Networks are connected in this order; which one is the gateway is Docker's choice before API 1.48."""
    project = web("networks: {a: {priority: 1}, b: {priority: 5}}", more="networks: {a: {}, b: {}}")
    assert project.host_config()["NetworkMode"] == f"{stack_name}_b"
    assert sorted(project.inspect()["NetworkSettings"]["Networks"]) == [f"{stack_name}_a", f"{stack_name}_b"]


def test_mac_address(web: Web) -> None:
    assert "02:42:0a:dc:00:05" in web("mac_address: 02:42:0a:dc:00:05").sh("ip link show eth0")


def test_network_mode(project: Project) -> None:
    project.up(f"""
        services:
          db: {SERVED}}}
          web: {CLIENT}, network_mode: "service:db"}}
          lone: {CLIENT}, network_mode: none}}
          open: {CLIENT}, network_mode: host}}
          old: {CLIENT}, network_mode: bridge}}
        """)
    assert project.sh("wget -qO- http://127.0.0.1:8080/") == "hello"
    assert "eth0" not in project.sh("ip link", "lone")
    assert "docker0" in project.sh("ip link", "open")
    assert "172.17." in project.sh("ip addr show eth0", "old")


def test_dns(web: Web) -> None:
    keys = "network_mode: bridge\ndns: [192.0.2.53]\ndns_opt: ['ndots:3']\ndns_search: [shop.example]"
    said = web(keys).sh("cat /etc/resolv.conf")
    assert "nameserver 192.0.2.53" in said
    assert "ndots:3" in said
    assert "search shop.example" in said


def test_extra_hosts(web: Web) -> None:
    project = web("extra_hosts: ['printer=192.0.2.7', 'gate:host-gateway']")
    hosts = project.sh("cat /etc/hosts")
    assert "192.0.2.7\tprinter" in hosts
    assert "\tgate" in hosts
