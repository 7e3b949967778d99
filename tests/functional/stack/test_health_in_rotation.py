"""What Docker finds out about the health of an instance reaches the balancer, without anybody asking for it."""

from __future__ import annotations

import pytest

from tests.lab.installation import until
from tests.lab.stacks import LabStack, inside, page, web

pytestmark = pytest.mark.functional

WELL = {"test": ["CMD", "test", "!", "-e", "/tmp/sick"], "interval": "1s", "retries": 1}


def test_an_unhealthy_replica_gets_no_traffic_until_it_is_well_again(stack: LabStack, free_port: int) -> None:
    """It still accepts connections, which is all that HAProxy itself can see."""
    says_its_name = ["sh", "-c", "hostname >/www/index.html; exec httpd -f -p 80 -h /www"]
    stack.up({"web": web(port=free_port, command=says_its_name, healthcheck=WELL, deploy={"replicas": 2})})
    sick, other = stack.containers()

    def asked() -> set[str]:
        return {page(free_port) for _ in range(8)}

    both = {str(sick.id)[:12], str(other.id)[:12]}
    assert asked() == both
    inside(sick, "touch", "/tmp/sick")
    until(lambda: asked() == {str(other.id)[:12]}, "the balancer knows that one is sick")
    inside(sick, "rm", "/tmp/sick")
    until(lambda: asked() == both, "the balancer knows that it is well")
