"""The resolved document: canonical Compose form as plain values, which is stored, and read again where no files are.

Configs and secrets that come from a file or a variable keep `file` or `environment`, and hold `content` besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from stampede.stackfile.checks import check
from stampede.stackfile.complaint import Complaint
from stampede.stackfile.links import links_as_aliases
from stampede.stackfile.models import Stack
from stampede.stackfile.verdicts import Judge

_ORIGINS = ("file", "environment")


@dataclass(frozen=True)
class Reading:
    """What a document says, and what the user should be told about it."""

    stack: Stack
    warnings: tuple[str, ...]


def read_document(document: Mapping[str, Any]) -> Stack:
    """The stack that a resolved document describes. Needs no file, no environment and no other program.

    Raises: StackFileError, NotAvailableYet for keys that Stampede refuses.
    """
    try:
        return interpret(document).stack
    except Complaint as complaint:
        raise complaint.as_error() from complaint


def interpret(document: Mapping[str, Any]) -> Reading:
    """The stack and the warnings. Raises: Complaint."""
    judge = Judge(str(document.get("name", "")))
    kept: dict[str, Any] = judge.judge(document)
    kept |= {section: _without_origins(kept[section]) for section in ("configs", "secrets") if section in kept}
    kept["extensions"] = {key: kept.pop(key) for key in list(kept) if key.startswith("x-")}
    try:
        stack = Stack.model_validate(kept)
    except ValidationError as error:
        raise _first_mistake(error) from error
    stack = links_as_aliases(_without_missing_dependencies(stack))
    return Reading(stack, (*judge.warnings, *check(stack)))


def _without_missing_dependencies(stack: Stack) -> Stack:
    """Without those that are `required: false` and not in this stack, because their profile is not chosen."""
    services = {
        name: service.model_copy(
            update={
                "depends_on": {
                    other: dependency
                    for other, dependency in service.depends_on.items()
                    if dependency.required or other in stack.services
                }
            }
        )
        for name, service in stack.services.items()
    }
    return stack.model_copy(update={"services": services})


def _without_origins(documents: Any) -> Any:
    """Configs or secrets, each called by its key, without where their content came from."""
    if not isinstance(documents, Mapping):
        return documents
    return {name: _without_origin(name, item) for name, item in documents.items()}


def _without_origin(name: str, item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return {"name": name, **{key: value for key, value in item.items() if key not in _ORIGINS}}


def _first_mistake(error: ValidationError) -> Complaint:
    """Says what was wrong with the first value that did not fit, without quoting it: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    path = tuple(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return Complaint(path, "unknown to this version of Stampede", "leave it out, or update Stampede")
    return Complaint(path, first["msg"].removeprefix("Value error, "))
