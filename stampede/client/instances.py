"""What runs, from the reports that each host keeps of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stampede.client.api import PrefectApi
from stampede.client.documents import Document, Documents
from stampede.client.views import InstanceView
from stampede.documents import HOST_REPORT_TYPE

SILENT_AFTER = timedelta(seconds=90)


def read_instances(api: PrefectApi, stack: str | None = None, *, now: datetime | None = None) -> list[InstanceView]:
    """Instances of one stack, or of all, ordered by stack, service and slot.

    The state of an instance is `unknown` when its host has not reported for 90 s.
    """
    at = now or datetime.now(UTC)
    found = [view for report in Documents(api, HOST_REPORT_TYPE).read_all() for view in _of_report(report, at)]
    chosen = [view for view in found if stack is None or view.stack == stack]
    return sorted(chosen, key=lambda view: (view.stack, view.service, view.slot, view.host, view.name))


def stacks_that_run(api: PrefectApi) -> list[str]:
    """Names of all stacks of which something runs."""
    return sorted({view.stack for view in read_instances(api)})


def _of_report(document: Document, now: datetime) -> list[InstanceView]:
    reported = _time(document.data.get("at"))
    silent = reported is not None and now - reported > SILENT_AFTER
    report = document.data.get("report") or {}
    return [_view(instance, document, reported, silent) for instance in report.get("instances", ())]


def _view(found: dict[str, Any], document: Document, reported: datetime | None, silent: bool) -> InstanceView:
    return InstanceView(
        stack=found["stack"],
        service=found["service"],
        name=found["name"],
        slot=found["slot"],
        kind=found.get("kind", "container"),
        host=found.get("host") or document.name,
        state="unknown" if silent else found["state"],
        health="unknown" if silent else found.get("health") or "none",
        image=found["image"],
        addresses=found.get("addresses") or {},
        published=found.get("published") or (),
        revision=found["revision"],
        restarts=found.get("restarts") or 0,
        created=_time(found.get("created_at")),
        reported=reported,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
