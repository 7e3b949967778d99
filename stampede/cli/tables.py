"""Tables for people, and the same rows as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stampede.client import HistoryEntry, InstanceView
from stampede.client.notifications import NotificationView
from stampede.notify.models import age_in_words


def show_instances(instances: Sequence[InstanceView], *, as_json: bool) -> None:
    """Print instances; as JSON an array of objects with the fields that docs/cli.md names."""
    if as_json:
        print(json.dumps([_instance(each) for each in instances], indent=2))
        return
    if not instances:
        print("nothing runs")
        return
    rows = [
        (
            each.name,
            each.stack,
            each.service,
            each.host,
            each.state,
            each.health,
            str(each.revision),
            each.image,
            ", ".join(each.addresses.values()),
            ", ".join(each.published),
        )
        for each in instances
    ]
    print_table(
        ("NAME", "STACK", "SERVICE", "HOST", "STATE", "HEALTH", "REVISION", "IMAGE", "ADDRESS", "PUBLISHED"), rows
    )


def show_history(entries: Sequence[HistoryEntry], *, as_json: bool) -> None:
    """Print the changes of a stack."""
    if as_json:
        print(json.dumps([each.model_dump(mode="json") for each in entries], indent=2))
        return
    rows = [
        (
            "-" if each.revision is None else str(each.revision),
            local_time(each.created),
            each.by,
            each.verb,
            each.outcome,
            each.why,
            each.run,
        )
        for each in entries
    ]
    print_table(("REVISION", "WHEN", "WHO", "WHAT", "OUTCOME", "WHY", "RUN"), rows)


def show_notifications(notifications: Sequence[NotificationView], *, as_json: bool) -> None:
    """Print who is told about what. No address is among it."""
    if as_json:
        print(json.dumps([each.model_dump(mode="json") for each in notifications], indent=2))
        return
    if not notifications:
        print("nobody is told: stampede notify add")
        return
    rows = [
        (
            each.name,
            each.target,
            each.stack or "all",
            ", ".join(each.subjects),
            age_in_words(each.backup_age_s),
            _state(each),
        )
        for each in notifications
    ]
    print_table(("NAME", "TARGET", "STACK", "ABOUT", "BACKUP AGE", "LAST MESSAGE"), rows)


def _state(notification: NotificationView) -> str:
    if notification.trouble:
        return notification.trouble
    if notification.last is None:
        return "-"
    return f"{local_time(notification.last.at)} {notification.last.trouble or 'arrived'}"


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their content."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local_time(moment: datetime) -> str:
    """A moment as people at this machine write it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _instance(view: InstanceView) -> dict[str, Any]:
    return view.model_dump(mode="json")
