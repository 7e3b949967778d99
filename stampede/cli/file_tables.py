"""Files of backups as tables for people, and the same as JSON for programs."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stampede.cli.session import say
from stampede.cli.tables import local_time, print_table
from stampede.client import Run
from stampede.volumes.room import human

Row = Mapping[str, Any]
_KINDS = {"folder": stat.S_IFDIR, "link": stat.S_IFLNK}


def show_files(found: Row, *, as_json: bool) -> None:
    """Print what a folder of a backup has."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if found["entries"]:
        heads = ("MODE", "OWNER", "SIZE", "CHANGED", "PATH")
        print_table(heads, [_entry(each) for each in found["entries"]])
    else:
        print("there is nothing in it")
    if found["left_off"]:
        say(f"{found['left_off']} more are not shown; name a folder further down")
    print(f"{found['volume']}@{found['backup']}: {human(found['received_bytes'])} fetched")


def show_copied(done: Row, run: Run, *, as_json: bool) -> None:
    """Print what was copied out of a backup, and where to."""
    if as_json:
        about = {"run": {"id": run.id, "url": run.url}}
        print(json.dumps({**done, **about}, indent=2))
        return
    name = f"{done['volume']}@{done['backup']}"
    for path in done["paths"]:
        print(f"  {'would copy' if done['dry_run'] else 'copied'} {_printable(path)}")
    for path in done["left_out"]:
        say(f"left out: {_printable(path)} is a device, a socket or a pipe")
    if not done["dry_run"]:
        where = f"in {done['folder']} of the volume, which is " if done["folder"] else "in "
        print(
            f"{name}: {done['files']} files and {done['folders']} folders ({human(done['copied_bytes'])}) are"
            f" {where}{done['target']} on {done['host']};"
            f" {human(done['received_bytes'])} fetched in {done['duration_s']:.1f} s"
        )
    print(f"run: {run.url}")


def _entry(each: Row) -> tuple[str, ...]:
    return (
        stat.filemode(_KINDS.get(each["kind"], stat.S_IFREG) | each["mode"]) if each["kind"] != "other" else "?",
        f"{each['uid']}:{each['gid']}",
        human(each["size_bytes"]),
        local_time(datetime.fromisoformat(each["changed"])),
        _printable(each["path"]),
    )


def _printable(path: str) -> str:
    """Whoever wrote the volume named it: nothing of that reaches the terminal as a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in path)
