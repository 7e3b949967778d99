"""What a run that has ended did: its outcome, or the error that ended it."""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import ValidationError

from stampede.client.api import PrefectApi
from stampede.errors import Cancelled, ServerUnreachable, StampedeError
from stampede.planning.changes import Outcome
from stampede.results import read_result


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
