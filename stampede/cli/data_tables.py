"""Volumes and snapshots as tables for people, and the same as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stampede.cli.tables import local_time, print_table
from stampede.client import Run
from stampede.volumes.room import human

Row = Mapping[str, Any]


def show_volumes(found: Mapping[str, Any], *, only: str | None, as_json: bool) -> None:
    """Print volumes, and for people the pools they are in; as JSON an array."""
    volumes: list[Row] = [each for each in found["volumes"] if only in (None, each["volume"])]
    if as_json:
        print(json.dumps(volumes, indent=2))
        return
    if volumes:
        heads = ("VOLUME", "HOST", "SIZE", "USED", "SNAPSHOTS", "CREATED", "STATE")
        print_table(heads, [_volume(each) for each in volumes])
    else:
        print("there are no managed volumes")
    for pool in found["pools"]:
        print(
            f"pool of {pool['host']} ({pool['driver']}): {human(pool['used_bytes'])} of {human(pool['size_bytes'])}"
            f" used, {human(pool['room_bytes'])} not promised yet"
            + (f"; {pool['degraded']}" if pool["degraded"] else "")
        )


def show_volume(done: str, volume: Row, *, as_json: bool) -> None:
    """Print what became of one volume."""
    if as_json:
        print(json.dumps(volume, indent=2))
        return
    origin = f" from {volume['origin']}" if volume["origin"] else ""
    print(f"{volume['name']} {done}{origin}: {human(volume['size_bytes'])} on {volume['host']}")
    print(f"hint: name it {volume['volume']} in `volumes:` of {volume['stack']}'s stack file to use it")


def show_snapshots(snapshots: Sequence[Row], *, as_json: bool) -> None:
    """Print snapshots; as JSON an array."""
    if as_json:
        print(json.dumps(snapshots, indent=2))
    elif snapshots:
        heads = ("VOLUME", "SNAPSHOT", "WHEN", "HOST", "SIZE", "TAKEN BY", "CONSISTENCY")
        print_table(heads, [_snapshot(each) for each in snapshots])
    else:
        print("there are no snapshots")


def show_taken(taken: Mapping[str, Any], run: Run, *, as_json: bool) -> None:
    """Print the snapshots that a run took, and those it let go."""
    if as_json:
        about = {"run": {"id": run.id, "url": run.url}, "duration_s": round(run.duration_s, 3)}
        print(json.dumps({**taken, **about}, indent=2))
        return
    for one in taken["snapshots"]:
        print(f"  {one['name']}@{one['id']}  {one['consistency']}, writers waited {one['stall_s'] * 1000:.1f} ms")
    for gone in taken["removed"]:
        print(f"  removed {gone['volume']}@{gone['snapshot']}  {gone['reason']}")
    print(f"{taken['stack']}: {len(taken['snapshots'])} snapshots, in {run.duration_s:.1f} s")


def _volume(each: Row) -> tuple[str, ...]:
    state = each["trouble"] or ("ready" if each["mounted"] else "not mounted")
    if each.get("arriving") is not None:
        state = f"arriving {int(each['arriving'] * 100)} %" + (f": {each['trouble']}" if each["trouble"] else "")
    return (
        each["name"],
        each["host"],
        human(each["size_bytes"]),
        human(each["used_bytes"]),
        str(each["snapshots"]),
        local_time(datetime.fromisoformat(each["created"])),
        state,
    )


def _snapshot(each: Row) -> tuple[str, ...]:
    return (
        each["name"],
        each["id"],
        local_time(datetime.fromisoformat(each["created"])),
        each["host"],
        human(each["size_bytes"]),
        each["taken_by"],
        each["consistency"],
    )
