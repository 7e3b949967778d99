"""Copies of a server's knowledge as files, and its recovery from hosts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from stampede.cli.session import say
from stampede.cli.verbs import following
from stampede.client import Client, RebuildServer
from stampede.client.copies import ServerCopy, bring, copy_server
from stampede.errors import BadInput, Refused

STANDARD = Path("-")


def write_copy(client: Client, file: Path) -> None:
    """Afterwards `file` holds a copy, readable by its owner only. Raises: Refused when the file is there already."""
    copy = copy_server(client.api)
    text = copy.model_dump_json(indent=2) + "\n"
    if file == STANDARD:
        sys.stdout.write(text)
    else:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise Refused(f"{file} is there already", "name another file, or remove it") from error
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
    say(f"exported {len(copy.documents)} documents and {len(copy.variables)} variables; the file holds secrets")


def read_copy(client: Client, file: Path) -> None:
    """Afterwards the server knows what `file` says. Raises: BadInput for a file that is no copy."""
    text = sys.stdin.read() if file == STANDARD else _text_of(file)
    try:
        copy = ServerCopy.model_validate_json(text)
    except ValidationError as error:
        # The error's own text would show the input, which holds secrets.
        raise BadInput(f"{file} is no copy of a server", "`stampede server export` writes one") from error
    if copy.format != 1:
        raise BadInput(f"{file} has format {copy.format}, which this release does not read", "upgrade stampede")
    result = bring(client.api, copy)
    print(f"imported {len(result.brought)}; {len(result.kept)} were there already and stay as they are")


def rebuild_from_hosts(client: Client, *, as_json: bool) -> None:
    """Afterwards the server knows the revisions that hosts keep. Raises: the error that ended the run."""
    run = client.start(RebuildServer(requested_by=client.requested_by))
    with following(run) as progress:
        found = client.result(run, watch=progress.show)
    if as_json:
        print(json.dumps({"result": found, "run": {"id": run.id, "url": run.url}}, indent=2))
        return
    for each in found:
        numbers = ", ".join(str(number) for number in each["revisions"])
        print(
            f"{each['stack']}: " + (f"revision {each['revision']} is wanted; kept: {numbers}" if numbers else "is gone")
        )
    print(f"{len(found)} stacks rebuilt from the hosts; run: {run.url}")


def _text_of(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
