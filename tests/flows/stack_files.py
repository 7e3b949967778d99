"""Stack files of the flow tests."""

from __future__ import annotations

SHOP = """
services:
  web:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    ports: ["18080:8080"]
    depends_on: {{db: {{condition: service_healthy}}}}
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
    deploy: {{replicas: {replicas}, update_config: {{monitor: 0s}}}}
  db:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{db_version}"}}
    volumes: ["data:/data"]
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
volumes: {{data: {{}}}}
"""


def shop(version: int = 1, *, db_version: int = 1, replicas: int = 2) -> str:
    """A web tier that is balanced and starts first, and a database with one writer."""
    return SHOP.format(version=version, db_version=db_version, replicas=replicas)
