"""Copies of what a server knows of stacks and hosts, to move it between databases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from stampede.client.api import NameTaken, PrefectApi
from stampede.client.documents import Documents
from stampede.documents import (
    CANDIDATE_TYPE,
    HOST_REPORT_TYPE,
    REGISTRY_LOGIN_TYPE,
    REVISION_TYPE,
    STORE_TYPE,
    head_name,
)
from stampede.frozen import Frozen

# Revisions before candidates and reports: an import that is cut short has then brought what matters most.
COPIED_TYPES = (REVISION_TYPE, STORE_TYPE, REGISTRY_LOGIN_TYPE, CANDIDATE_TYPE, HOST_REPORT_TYPE)
LOCKS = "lock-"
HEADS = head_name("")


class CopiedDocument(Frozen):
    type: str
    name: str
    data: dict[str, JsonValue]


class CopiedVariable(Frozen):
    name: str
    value: JsonValue
    tags: tuple[str, ...] = ()


class ServerCopy(Frozen):
    """Everything that moves. It holds secrets in the clear, as it must outlive the key of the server it came from."""

    format: int = 1
    exported: datetime
    documents: tuple[CopiedDocument, ...] = ()
    variables: tuple[CopiedVariable, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What an import brought, and what it left alone because the server had it already."""

    brought: tuple[str, ...]
    kept: tuple[str, ...]


def copy_server(api: PrefectApi) -> ServerCopy:
    """A copy of all stored documents and of the variables that say which revision of a stack is wanted. No locks."""
    documents = tuple(
        CopiedDocument(type=slug, name=each.name, data=each.data)
        for slug in COPIED_TYPES
        for each in Documents(api, slug).read_all(secrets=True)
    )
    variables = tuple(
        CopiedVariable(name=each["name"], value=each["value"], tags=tuple(each.get("tags") or ()))
        for each in api.pages("/variables/filter", {})
        if not each["name"].startswith(LOCKS)
    )
    return ServerCopy(exported=datetime.now(UTC), documents=documents, variables=variables)


def bring(api: PrefectApi, copy: ServerCopy) -> Imported:
    """Afterwards the server knows what the copy does. What it has under the same name stays as it is.

    Raises: StampedeError when no worker of the server has registered the types of documents yet.
    """
    kinds = {slug: Documents(api, slug) for slug in {each.type for each in copy.documents}}
    brought: list[str] = []
    kept: list[str] = []
    for document in copy.documents:
        new = kinds[document.type].create_unless_there(document.name, dict(document.data))
        (brought if new else kept).append(document.name)
    for variable in copy.variables:
        new = _create_variable(api, _arriving(variable).model_dump(mode="json"))
        (brought if new else kept).append(variable.name)
    return Imported(tuple(brought), tuple(kept))


def _arriving(variable: CopiedVariable) -> CopiedVariable:
    """Deployments do not move: the next change of a stack registers them on the new server."""
    if not variable.name.startswith(HEADS) or not isinstance(variable.value, dict):
        return variable
    return variable.model_copy(update={"value": {**variable.value, "registered": 0}})


def _create_variable(api: PrefectApi, body: dict[str, Any]) -> bool:
    try:
        api.post("/variables/", body)
    except NameTaken:
        return False
    return True
