"""A stack that makes no sense as a whole is an error, although each key of it is fine."""

from __future__ import annotations

import pytest

from stampede.errors import StackFileError
from tests.unit.stackfile.conftest import Project

WEB = "services:\n  web:\n    image: x\n"
SENSELESS = {
    "one name for several": (
        WEB + "    container_name: only\n    scale: 2\n",
        "compose.yaml:4: services.web.container_name: ",
    ),
    "one address for several": (
        WEB + "    scale: 2\n    networks:\n      default:\n        ipv4_address: 10.0.0.9\n",
        "compose.yaml:7: services.web.networks.default.ipv4_address: 2 replicas cannot share one address",
    ),
    "one MAC for several": (WEB + "    scale: 2\n    mac_address: 02:42:ac:11:00:02\n", "services.web.mac_address"),
    "one host port for several": (
        WEB + "    scale: 2\n    ports:\n      - {target: 80, published: 80, mode: host}\n",
        "compose.yaml:6: services.web.ports.0: 2 replicas on one host cannot all have port 80 in mode: host",
    ),
    "one UDP port for several": (
        WEB + "    ports: ['5353:53/udp']\n    deploy: {replicas: 2}\n",
        "compose.yaml:4: services.web.ports.0: 2 replicas on one host cannot all have port 5353 over udp",
    ),
    "too few host ports for several": (
        WEB + "    scale: 3\n    ports: [{target: 80, published: 8000-8001, mode: host}]\n",
        "compose.yaml:5: services.web.ports.0: 3 replicas on one host cannot all have one of ports 8000-8001",
    ),
    "the host's network for several": (
        WEB + "    network_mode: host\n    deploy: {replicas: 3}\n",
        "compose.yaml:4: services.web.network_mode: 3 replicas on one host would share its ports",
    ),
    "one port for two services": (
        WEB + "    ports: ['80:80']\n  other:\n    image: x\n    ports: ['127.0.0.1:80:1']\n",
        "port 80/tcp of the host is published by other already",
    ),
    "unknown service for the network": (WEB + "    network_mode: service:nope\n", "there is no service called nope"),
    "ports without a network": (WEB + "    network_mode: host\n    ports: ['80:80']\n", "services.web.ports: no port"),
    "too many": (WEB + "    scale: 10001\n", "10001 replicas are more than 10000"),
    "do not fit": (
        WEB + "    deploy: {replicas: 3, placement: {max_replicas_per_node: 2}}\n",
        "services.web.deploy.placement.max_replicas_per_node: 3 replicas do not fit on one host",
    ),
    "relative target": (WEB + "    volumes: [data]\n", "services.web.volumes.0: data is no absolute path"),
    "exposed word": (WEB + "    expose: [http]\n", "services.web.expose.0: http is no port"),
    "mode": (
        WEB + "    configs: [{source: c, mode: '0999'}]\nconfigs: {c: {content: x}}\n",
        "services.web.configs.0.mode",
    ),
    "negative": (WEB + "    stop_grace_period: -5s\n", "services.web.stop_grace_period: '-5s' is not a duration"),
    "alias of two": (
        WEB + "    links: ['a:db']\n  v: {image: x, links: ['b:db']}\n  a: {image: x}\n  b: {image: x}\n",
        "db would stand for",
    ),
    "alias of a service": (WEB + "    links: ['a:b']\n  a: {image: x}\n  b: {image: x}\n", "b would stand for b and"),
    "link without a network": (
        WEB + "    links: ['a:b']\n    networks: [one]\n  a: {image: x}\nnetworks: {one: }\n",
        "services.web.links.0: web and a share no network",
    ),
}


@pytest.mark.parametrize(("text", "said"), SENSELESS.values(), ids=SENSELESS)
def test_a_senseless_stack_is_an_error(project: Project, text: str, said: str) -> None:
    with pytest.raises(StackFileError) as failure:
        project.load(text)
    assert said in str(failure.value)
    assert failure.value.message.startswith("compose.yaml:")


SENSIBLE = {
    "same port, other address": "    ports: ['127.0.0.1:80:80']\n  b: {image: x, ports: ['127.0.0.2:80:80']}\n",
    "same port, other protocol": "    ports: ['53:53']\n  b: {image: x, ports: ['53:53/udp']}\n",
    "host ports of a range": "    scale: 2\n    ports: [{target: 80, published: 8000-8010, mode: host}]\n",
    "UDP port of several, left to choose": "    scale: 2\n    ports: ['53/udp']\n",
    "the host's network for one": "    network_mode: host\n",
    "balanced port of several": "    scale: 5\n    ports: ['80:80']\n",
    "one name for one": "    container_name: only\n",
    "shared network": "    network_mode: service:b\n  b: {image: x, ports: ['80:80']}\n",
}


@pytest.mark.parametrize("text", SENSIBLE.values(), ids=SENSIBLE)
def test_a_sensible_stack_is_none(project: Project, text: str) -> None:
    assert project.load(WEB + text).warnings == ()


def test_waiting_for_health_without_a_healthcheck_is_a_warning(project: Project) -> None:
    text = WEB + "    depends_on: {db: {condition: service_healthy}}\n  db: {image: x}\n"
    assert ["its image must have one" in warning for warning in project.load(text).warnings] == [True]


def test_links_become_aliases(project: Project) -> None:
    loaded = project.load(WEB + "    links: ['db:database', db]\n  db: {image: x}\n")
    assert loaded.stack.services["db"].networks["default"].aliases == ("database",)
    assert loaded.stack.services["web"].links == ()
    assert loaded.stack.services["web"].depends_on["db"].restart
