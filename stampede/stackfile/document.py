"""The resolved document: canonical Compose form as plain values, which is stored, and read again where no files are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from stampede.errors import StackFileError
from stampede.stackfile.models import Stack
from stampede.stackfile.verdicts import judge

SECTIONS = ("services", "networks", "volumes", "configs", "secrets")


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of a plain value in which every string, except the keys of mappings, went through `change`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_strings(item, change) for item in value]
    return value


def unescape(value: Any) -> Any:
    """`$$`, which the reference prints for `$`, as `$`."""
    return map_strings(value, lambda text: text.replace("$$", "$"))


def escape(value: Any) -> Any:
    """`$` as `$$`, so that the reference reads it as itself."""
    return map_strings(value, lambda text: text.replace("$", "$$"))


def read_document(document: Mapping[str, Any]) -> Stack:
    """The stack that a resolved document describes. Needs no file, no environment and no other program.

    Raises: StackFileError, NotAvailableYet for keys that Stampede refuses.
    """
    judged = judge(document)
    kept = dict(judged.document)
    extensions = {key: kept.pop(key) for key in list(kept) if key.startswith("x-")}
    try:
        return Stack.model_validate({**kept, **_documents(kept), "extensions": extensions})
    except ValidationError as error:
        raise _first_mistake(error) from error


def _documents(document: Mapping[str, Any]) -> dict[str, Any]:
    """Configs and secrets without where their content came from."""
    sources = ("file", "environment")
    return {
        section: {
            name: {key: value for key, value in item.items() if key not in sources}
            for name, item in document.get(section, {}).items()
        }
        for section in ("configs", "secrets")
    }


def _first_mistake(error: ValidationError) -> StackFileError:
    """Says what was wrong with the first value that did not fit, without quoting it: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return StackFileError(f"{path}: {first['msg']}", "see docs/stack-file.md")
