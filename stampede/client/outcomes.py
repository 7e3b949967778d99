"""What a run that has ended did: its outcome, or the error that ended it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from pydantic import ValidationError

from stampede.client.api import PAGE, PrefectApi
from stampede.errors import Cancelled, ServerUnreachable, StampedeError
from stampede.planning.changes import Outcome
from stampede.results import artifact_content, artifact_type, decode, read_result, storage_key_of


def outcome_of(api: PrefectApi, flow_run: dict[str, Any]) -> Outcome:
    """The outcome of a final run. Raises: as `value_of`, and StampedeError for a result of another release."""
    try:
        return Outcome.model_validate(value_of(api, flow_run))
    except ValidationError as error:
        raise StampedeError(
            f"run {flow_run['name']} ended with a result this release does not know",
            "the server runs another release: upgrade the older one of the two",
        ) from error


def value_of(api: PrefectApi, flow_run: dict[str, Any]) -> Any:
    """What a final run returned, as plain JSON. Raises: the error that ended it, Cancelled, StampedeError otherwise."""
    if (flow_run.get("state") or {}).get("type") == "CANCELLED":
        # A cancelled run may have stored a half-way result, which means nothing.
        raise Cancelled(
            f"run {flow_run['name']} was cancelled", "what served goes on serving; the same command again goes on"
        )
    try:
        return read_result(api.http, flow_run)
    except httpx.TransportError as error:
        raise ServerUnreachable(
            f"the server at {api.url} did not answer", f"stampede follow {flow_run['id']}"
        ) from error
    except httpx.HTTPStatusError as error:
        raise StampedeError(f"the result of run {flow_run['name']} cannot be read: {error}") from error


def values_of(api: PrefectApi, flow_runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What runs that completed returned, by their ids, as plain JSON; at most PAGE of them, which is one request.

    Runs that ended otherwise are left out, and those whose results have been removed.
    """
    completed = [run["state"] for run in flow_runs if run.get("state_type") == "COMPLETED"]
    keys = [key for state in completed if (key := storage_key_of(state))]
    if not keys:
        return {}
    wanted = {
        "type": {"any_": [artifact_type(key) for key in keys]},
        "flow_run_id": {"any_": [run["id"] for run in flow_runs]},
    }
    found = api.post("/artifacts/filter", {"artifacts": wanted, "sort": "CREATED_DESC", "limit": PAGE})
    # Of several results of a run that was resumed, the newest counts.
    return {
        each["flow_run_id"]: decode(artifact_content([each], each["data"]["storage_key"])) for each in reversed(found)
    }
