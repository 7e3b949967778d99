"""Stack files of the flow tests."""

from __future__ import annotations

SHOP = """
services:
  web:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    ports: ["18080:8080"]
    depends_on: {{db: {{condition: service_healthy}}}}
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{replicas: {replicas}, update_config: {{monitor: 0s, failure_action: {failure_action}}}}}
  db:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{db_version}"}}
    volumes: ["data:/data"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{update_config: {{monitor: 0s}}}}
volumes: {{data: {{}}}}
"""


def shop(version: int = 1, *, db_version: int = 1, replicas: int = 2, failure_action: str = "rollback") -> str:
    """A web tier that is balanced and starts first, and a database with one writer."""
    return SHOP.format(version=version, db_version=db_version, replicas=replicas, failure_action=failure_action)


LEDGER = """
services:
  ledger:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    ports: ["18080:8080"]
    volumes: ["data:/data"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{update_config: {{monitor: 0s}}}}
    {more}
volumes: {{data: {{}}}}
"""


def ledger(version: int = 1, more: str = "") -> str:
    """One writer behind the balancer, so that it is replaced stop-first. `more` are further keys of it."""
    return LEDGER.format(version=version, more=more)


WITH_JOB = """
services:
  migrate:
    image: stampede-test/busybox:1
    command: ["sh", "-c", "exit {code}"]
    environment: {{VERSION: "{version}"}}
    restart: "no"
  app:
    image: stampede-test/busybox:1
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
"""


def with_job(version: int = 1, *, code: int = 0) -> str:
    """An application that waits for a job, which ends with exit code `code`."""
    return WITH_JOB.format(version=version, code=code)
