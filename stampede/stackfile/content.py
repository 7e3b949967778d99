"""Configs and secrets get their content into the document, so that a host needs no file of the client's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stampede.stackfile.complaint import Complaint
from stampede.stackfile.reference import Request, ask_reference
from stampede.stackfile.yamltext import read_yaml, write_yaml

MAX_CONTENT_BYTES = 1000 * 1024  # Docker's own bound for a config
SECTIONS = ("configs", "secrets")


def embed_content(document: dict[str, Any], request: Request) -> dict[str, Any]:
    """The document with `content` in every config and secret that names a file or a variable.

    What no service uses may be missing: it then has no content.
    Raises: Complaint when a file cannot be read or a variable is not set.
    """
    items = {section: document[section] for section in SECTIONS if section in document}
    needed = set(_needed(document))
    named = {item["environment"] for section in items.values() for item in section.values() if "environment" in item}
    values = _values_of(sorted(named), request) if named else {}
    return document | {
        section: {
            name: item | _content((section, name), item, values, required=(section, name) in needed)
            for name, item in found.items()
        }
        for section, found in items.items()
    }


def _needed(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for service in document.get("services", {}).values():
        for section in SECTIONS:
            for use in service.get(section) or ():
                yield section, use["source"]


def _content(
    path: tuple[str, str], item: Mapping[str, Any], values: Mapping[str, str], *, required: bool
) -> dict[str, str]:
    try:
        if "environment" in item:
            return {"content": _variable((*path, "environment"), item["environment"], values)}
        return {"content": _read((*path, "file"), Path(item["file"]))} if "file" in item else {}
    except Complaint:
        if required:
            raise
        return {}


def _variable(path: tuple[str, ...], name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise Complaint(path, f"the variable {name} is not set", f"set {name} in the environment or in .env")
    return values[name]


def _read(path: tuple[str, ...], file: Path) -> str:
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
        raise Complaint(path, f"{file}: {reason}", "name a file that can be read here") from error
    if len(content) > MAX_CONTENT_BYTES:
        raise Complaint(path, f"{file} has more than {MAX_CONTENT_BYTES} bytes", "mount a volume instead")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Complaint(path, f"{file} is not UTF-8 text", "encode it (base64), or mount a volume instead") from error


def _values_of(variables: list[str], request: Request) -> dict[str, str]:
    """The variables as the reference sees them: the environment first, then .env and other env files.

    It fills them into a config that we add, so that a value of several lines comes back whole.
    """
    probes = {f"stampede-probe-{at}": {"content": f"${{{name}-}}"} for at, name in enumerate(variables)}
    is_set = {f"stampede-set-{at}": {"content": f"${{{name}+set}}-"} for at, name in enumerate(variables)}
    asked = replace(request, files=(*request.files, Path("-")), stdin=write_yaml({"configs": probes | is_set}))
    found = read_yaml(ask_reference(asked).out.replace("$$", "$"))["configs"]
    return {
        name: found[f"stampede-probe-{at}"]["content"]
        for at, name in enumerate(variables)
        if found[f"stampede-set-{at}"]["content"] == "set-"
    }
