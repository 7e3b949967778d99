"""Results of flow runs: how they are written, where they lie in the Prefect API, and how they are read by plain HTTP.

A result is JSON: `{"value": …}`, or `{"error": {"class": …, "message": …, "hint": …}}` for a run that failed. It lies
in an artifact of the run that wrote it, so that it is removed with that run; the run's state names its storage key.
The artifact has no key (keys would fill the artifacts page of the UI); its type is derived from the storage key.

Classes of errors are looked up by name among the errors of Stampede. Nothing is ever imported because a result says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import pydantic_core

from stampede.errors import Cancelled, StampedeError

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 1 << 20
FINAL_STATES = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


class ResultTooLarge(StampedeError):
    """A result has more than MAX_BYTES bytes; flows return small models and references to anything larger."""


class ResultMissing(StampedeError):
    """The run ended, but its result is not (or no longer) stored."""


def encode(value: object) -> bytes:
    """JSON of a value that pydantic can write, or of an error.

    Raises: pydantic_core.PydanticSerializationError for other objects.
    """
    if isinstance(value, StampedeError):
        error = {"class": type(value).__name__, "message": value.message, "hint": value.hint}
        return pydantic_core.to_json({"error": error})
    if isinstance(value, BaseException):
        return pydantic_core.to_json({"error": {"class": type(value).__name__, "message": str(value), "hint": ""}})
    return pydantic_core.to_json({"value": value})


def decode(content: bytes) -> Any:
    """The value as plain JSON types (models come back as dicts), or the error as an exception that is not raised."""
    document = cast("dict[str, Any]", json.loads(content))
    if "error" in document:
        error = document["error"]
        return rebuilt_error(error["class"], error["message"], error["hint"])
    return document["value"]


def rebuilt_error(class_name: str, message: str, hint: str) -> StampedeError:
    """The error of Stampede of that name, else a StampedeError whose message begins with the name of the class."""
    for known in _subclasses(StampedeError):
        if known.__name__ == class_name:
            return known(message, hint)
    return StampedeError(f"{class_name}: {message}", hint)


def artifact_type(storage_key: str) -> str:
    """The type of the artifact that holds the record of this storage key."""
    return "result-" + hashlib.sha256(storage_key.encode()).hexdigest()[:40]


def artifact_body(storage_key: str, content: bytes, flow_run_id: str | None) -> dict[str, Any]:
    """What to POST to /artifacts/. Raises: ResultTooLarge."""
    if len(content) > MAX_BYTES:
        raise ResultTooLarge(
            f"A result of {len(content)} bytes is larger than {MAX_BYTES}", "return a reference to it instead"
        )
    data = {"storage_key": storage_key, "base64": base64.b64encode(content).decode()}
    return {"type": artifact_type(storage_key), "data": data, "flow_run_id": flow_run_id}


def artifact_query(storage_key: str, flow_run_id: str | None = None) -> dict[str, Any]:
    """What to POST to /artifacts/filter. With the run that wrote it, the search uses an index."""
    wanted: dict[str, Any] = {"type": {"any_": [artifact_type(storage_key)]}}
    if flow_run_id is not None:
        wanted["flow_run_id"] = {"any_": [flow_run_id]}
    return {"limit": 1, "sort": "CREATED_DESC", "artifacts": wanted}


def artifact_content(found: Sequence[Mapping[str, Any]], storage_key: str) -> bytes:
    """The result in the answer of /artifacts/filter. Raises: ResultMissing."""
    if not found:
        raise ResultMissing(f"There is no stored result {storage_key}", "results are removed with old runs")
    return base64.b64decode(found[0]["data"]["base64"])


def read_result(http: httpx.Client, flow_run: Mapping[str, Any]) -> Any:
    """The result of a final run, as plain JSON types. `http` has the API's URL as its base, `flow_run` is its answer.

    Raises: the error of Stampede that ended the run; Cancelled; StampedeError for a crashed run; ResultMissing.
    """
    state = flow_run["state"] or {}
    storage_key = storage_key_of(state)
    if storage_key is None:
        if state.get("type") == "COMPLETED":
            return None
        raise error_of_state(state, str(flow_run["name"]))
    answer = http.post("/artifacts/filter", json=artifact_query(storage_key, str(flow_run["id"])))
    answer.raise_for_status()
    value = decode(artifact_content(answer.json(), storage_key))
    if isinstance(value, StampedeError):
        raise value
    return value


def storage_key_of(state: Mapping[str, Any]) -> str | None:
    """Where the result of a run in this state is stored; None when it left none."""
    data = state.get("data")
    return cast("str | None", data.get("storage_key")) if isinstance(data, Mapping) else None


def error_of_state(state: Mapping[str, Any], run_name: str) -> StampedeError:
    """What a run that ended without a stored error says in its state."""
    kind, message = state.get("type", "unknown"), state.get("message") or "no message"
    if kind == "CANCELLED":
        return Cancelled(f"{run_name} was cancelled: {message}")
    if kind == "CRASHED":
        return StampedeError(f"{run_name} crashed: {message}", "run it again: it goes on from what is there")
    return StampedeError(f"{run_name} ended as {str(kind).lower()}: {message}")


def _subclasses(base: type[StampedeError]) -> Iterator[type[StampedeError]]:
    yield base
    for child in base.__subclasses__():
        yield from _subclasses(child)
