"""What `deploy` says about one container; what it says about many is the flows'."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        ("{condition: none}", {"Name": "no", "MaximumRetryCount": 0}),
        ("{condition: on-failure, max_attempts: 2}", {"Name": "on-failure", "MaximumRetryCount": 2}),
        ("{condition: any}", {"Name": "unless-stopped", "MaximumRetryCount": 0}),
    ],
)
def test_restart_policy(web: Web, said: str, policy: dict[str, object]) -> None:
    project = web(f"deploy: {{restart_policy: {said}}}", start=False)
    assert project.host_config()["RestartPolicy"] == policy
