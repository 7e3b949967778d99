"""Configs and secrets get their content into the document, so that a host needs no file of the client's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stampede.errors import StackFileError
from stampede.stackfile.reference import Request

MAX_CONTENT_BYTES = 1000 * 1024  # Docker's own bound of a config


def embed_content(document: dict[str, Any], request: Request) -> dict[str, Any]:
    """The document with `content` in every config and secret that names a file or a variable.

    Raises: StackFileError when a file cannot be read or a variable is not set.
    """
    return document | {
        section: {name: _with_content(item, f"{section}.{name}", request) for name, item in document[section].items()}
        for section in ("configs", "secrets")
        if section in document
    }


def _with_content(item: dict[str, Any], path: str, request: Request) -> dict[str, Any]:
    if "file" in item:
        return item | {"content": _read(Path(item["file"]), path)}
    if "environment" in item:
        return item | {"content": request.environ.get(item["environment"], "")}
    return item


def _read(file: Path, path: str) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StackFileError(f"{path}.file: {file}: {error.strerror}", "the file must be readable here") from error
    if len(content) > MAX_CONTENT_BYTES:
        raise StackFileError(f"{path}.file: {file} holds more than {MAX_CONTENT_BYTES} bytes", "mount a volume instead")
    return content.decode()
