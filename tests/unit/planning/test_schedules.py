"""The schedules that a stack's file asks for."""

from __future__ import annotations

from typing import Any

from stampede.planning.schedules import Schedule, schedules_of
from stampede.stackfile import read_document
from stampede.stackfile.models import Stack


def stack(**volumes: Any) -> Stack:
    named = {key: {"name": f"shop_{key}", **volume} for key, volume in volumes.items()}
    return read_document({"name": "shop", "services": {}, "volumes": named})


def test_volumes_of_the_same_time_are_one_schedule_and_so_have_one_moment() -> None:
    often, daily = {"x-snapshots": {"schedule": "*/15 * * * *"}}, {"x-snapshots": {"schedule": "daily"}}
    assert schedules_of(stack(b=often, a=often, c=daily)) == (
        Schedule(flow="snapshot-stack", cron="*/15 * * * *", volumes=("a", "b")),
        Schedule(flow="snapshot-stack", cron="0 3 * * *", volumes=("c",)),
    )


def test_backups_and_drills_have_schedules_of_their_own() -> None:
    backups = {"x-backups": {"store": "s", "schedule": "hourly", "drill": "weekly"}}
    assert [(one.flow, one.cron) for one in schedules_of(stack(a=backups))] == [
        ("backup-stack", "0 * * * *"),
        ("drill-restore", "0 4 * * 0"),
    ]


def test_without_a_schedule_there_is_none() -> None:
    assert schedules_of(stack(a={"x-snapshots": {}}, b={"x-backups": {"store": "s"}}, c={})) == ()


def test_another_time_or_other_volumes_are_another_schedule() -> None:
    one = Schedule(flow="snapshot-stack", cron="0 * * * *", volumes=("a",))
    assert one.slug == one.model_copy().slug
    assert len({one.slug, one.model_copy(update={"volumes": ("a", "b")}).slug}) == 2
    assert len({one.slug, one.model_copy(update={"cron": "1 * * * *"}).slug}) == 2
