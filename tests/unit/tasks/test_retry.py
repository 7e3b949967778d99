"""Which failures of a task are tried again."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed
from prefect.tasks import Task

from stampede.errors import DaemonError, DaemonUnavailable, Fenced, ImageMissing, RegistryUnreachable
from stampede.tasks.retry import RETRY_TRANSIENT, is_transient


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (DaemonUnavailable("dockerd does not answer"), True),
        (RegistryUnreachable("no answer"), True),
        (ImageMissing("no such image"), False),
        (DaemonError("refused"), False),
        (Fenced("a newer change"), False),
        (ValueError("a mistake of ours"), False),
    ],
)
async def test_only_what_may_pass_by_itself_is_tried_again(failure: Exception, again: bool) -> None:
    nothing = cast("Any", None)  # neither task nor run decides
    assert await is_transient(cast("Task[..., Any]", nothing), cast("TaskRun", nothing), Failed(data=failure)) is again


def test_it_gives_up_after_about_fifteen_seconds() -> None:
    assert 15 <= sum(RETRY_TRANSIENT["retry_delay_seconds"](RETRY_TRANSIENT["retries"])) <= 16
