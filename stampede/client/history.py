"""History of a stack: its revisions, who made them and why, and what became of the runs that did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stampede.client.api import PAGE, PrefectApi
from stampede.client.documents import Document, Documents
from stampede.client.outcomes import values_of
from stampede.client.runs import run_of, stack_tag
from stampede.client.views import HistoryEntry
from stampede.documents import REVISION_TYPE

# Names of flows by their ids.
Verbs = dict[str, str]
ROLLBACK = "rollback-stack"
# Runs that change what a stack is. Looks and copies of its data are no history, and there are many of them.
CHANGING_VERBS = (
    "deploy-stack",
    "scale-service",
    "rollback-stack",
    "restart-service",
    "remove-stack",
    "adopt-stack",
    "restore-stack",
    "restore-volume",
    "restore-backup",
    "recover-stack",
    "resize-volume",
    "compact-volume",
)


def read_history(api: PrefectApi, stack: str) -> list[HistoryEntry]:
    """Changes of a stack, newest first: every revision, and runs of the last days that recorded none."""
    revisions = [each for each in Documents(api, REVISION_TYPE).read_all() if each.data.get("stack") == stack]
    runs = {run["id"]: run for run in _runs_of_stack(api, stack)}
    missing = {str(each.data.get("run")) for each in revisions} - {*runs, "", "None"}
    runs |= {run["id"]: run for run in _runs_by_id(api, sorted(missing))}
    verbs = _names_of_flows(api, {run["flow_id"] for run in runs.values()})
    recorded = {str(each.data.get("run")) for each in revisions}
    entries = [_of_revision(api, each, runs.get(str(each.data.get("run"))), verbs) for each in revisions]
    others = [run for run in runs.values() if run["id"] not in recorded and _changes(run)]
    returned = values_of(api, others)
    entries += [_of_run(api, run, verbs, returned.get(run["id"])) for run in others]
    return sorted(entries, key=lambda entry: (entry.created, entry.revision or 0), reverse=True)


def known_stacks(api: PrefectApi) -> list[str]:
    """Names of all stacks that have a revision."""
    return sorted({str(each.data["stack"]) for each in Documents(api, REVISION_TYPE).read_all()})


def _of_revision(api: PrefectApi, document: Document, run: dict[str, Any] | None, verbs: Verbs) -> HistoryEntry:
    data = document.data
    seen = run_of(api, run) if run else None
    return HistoryEntry(
        revision=int(data["number"]),
        created=_time(data["created"]),
        by=data.get("by") or "",
        why=data.get("why") or "",
        verb=verbs.get(run["flow_id"], "") if run else "",
        outcome=seen.state.lower() if seen else "",
        run=str(data.get("run") or ""),
        url=seen.url if seen else "",
        images={service: _reference(image) for service, image in (data.get("images") or {}).items()},
    )


def _of_run(api: PrefectApi, run: dict[str, Any], verbs: Verbs, returned: Any) -> HistoryEntry:
    seen = run_of(api, run)
    parameters = run.get("parameters") or {}
    return HistoryEntry(
        revision=_revision_of(run, verbs, returned),
        created=_time(run.get("start_time") or run["created"]),
        by=parameters.get("requested_by") or "",
        why=parameters.get("why") or "",
        verb=verbs.get(run["flow_id"], ""),
        outcome=seen.state.lower(),
        run=run["id"],
        url=seen.url,
    )


def _revision_of(run: dict[str, Any], verbs: Verbs, returned: Any) -> int | None:
    """The revision that served after a run which recorded none, or to which a rollback that failed was to go."""
    if isinstance(returned, dict):
        number: int | None = returned.get("revision")
        return number
    return (run.get("parameters") or {}).get("revision") if verbs.get(run["flow_id"]) == ROLLBACK else None


def _runs_of_stack(api: PrefectApi, stack: str) -> list[dict[str, Any]]:
    body = {
        "flow_runs": {
            "tags": {"all_": [stack_tag(stack)]},
            "parent_task_run_id": {"is_null_": True},
        },
        "flows": {"name": {"any_": list(CHANGING_VERBS)}},
        "sort": "START_TIME_DESC",
        "limit": PAGE,
    }
    found: list[dict[str, Any]] = api.post("/flow_runs/filter", body)
    return found


def _runs_by_id(api: PrefectApi, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    found: list[dict[str, Any]] = api.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": ids}}, "limit": PAGE})
    return found


def _names_of_flows(api: PrefectApi, ids: set[str]) -> Verbs:
    if not ids:
        return {}
    found = api.post("/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}, "limit": PAGE})
    return {flow["id"]: flow["name"] for flow in found}


def _changes(run: dict[str, Any]) -> bool:
    return not (run.get("parameters") or {}).get("dry_run")


def _reference(image: Any) -> str:
    return str(image["reference"]) if isinstance(image, dict) else str(image)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
