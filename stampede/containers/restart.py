"""Docker's restart policy for a service, so that what crashed comes back even when nothing of ours runs."""

from __future__ import annotations

from typing import Any

from stampede.stackfile.models import Service

_CONDITIONS = {"none": "no", "on-failure": "on-failure", "any": "always", "unless-stopped": "unless-stopped"}
# With `always`, Docker starts at its own start even what was stopped: an old database that a change has stopped and
# keeps until the new one is proven would run beside it. Nobody but us stops our containers, so this is the same else.
_INSTEAD = {"always": "unless-stopped"}


def restart_policy(service: Service) -> dict[str, Any]:
    """HostConfig.RestartPolicy. Docker backs off by itself, from 0.1 s up to a minute.

    `deploy.restart_policy` wins over `restart`. With neither, a crash (exit code other than 0) is restarted without
    end, and exit 0 is the end. An explicit "no" is obeyed.
    """
    policy = service.deploy.restart_policy
    if policy is not None:
        return _policy(_CONDITIONS[policy.condition], policy.max_attempts or 0)
    if service.restart is None:
        return _policy("on-failure", 0)
    name, _, attempts = service.restart.partition(":")
    return _policy(name, int(attempts) if attempts else 0)


def restarts_without_end(service: Service) -> bool:
    """Whether the file says in so many words that a crash shall be restarted again and again."""
    policy = restart_policy(service)
    said = service.restart is not None or service.deploy.restart_policy is not None
    return said and policy["Name"] != "no" and not policy["MaximumRetryCount"]


def _policy(name: str, attempts: int) -> dict[str, Any]:
    """Docker takes a number of attempts for `on-failure` only."""
    return {"Name": _INSTEAD.get(name, name), "MaximumRetryCount": attempts if name == "on-failure" else 0}
