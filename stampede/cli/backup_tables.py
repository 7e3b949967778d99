"""Backups as tables for people, and the same as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stampede.cli.session import say
from stampede.cli.tables import local_time, print_table
from stampede.client import Run
from stampede.volumes.room import human

Row = Mapping[str, Any]


def show_backed_up(done: Row, run: Run, *, as_json: bool) -> None:
    """Print what a backup came to."""
    if as_json:
        _print(done, run)
        return
    _warn(done)
    for one in done["planned"]:
        print(f"  would back up {one}")
    for one in done["volumes"]:
        dropped = f", dropped {len(one['dropped'])}" if one["dropped"] else ""
        print(
            f"  {one['volume']}@{one['backup']} in {one['store']}: {human(one['changed_bytes'])} changed,"
            f" {human(one['uploaded_bytes'])} sent in {one['duration_s']:.1f} s"
            f"{dropped}"
        )
    if not done["dry_run"]:
        print(f"{done['stack']}: {len(done['volumes'])} volumes backed up, in {run.duration_s:.1f} s")
    print(f"run: {run.url}")


def show_backups(backups: Sequence[Row], *, as_json: bool) -> None:
    """Print backups; as JSON an array."""
    if as_json:
        print(json.dumps(backups, indent=2))
        return
    if not backups:
        print("there are no backups")
        return
    rows = [
        (
            each["name"],
            str(each["backup"]),
            _time(each),
            each["store"],
            each["host"],
            human(each["size_bytes"]),
            human(each["data_bytes"]),
            human(each["uploaded_bytes"]),
            each["trouble"],
        )
        for each in backups
    ]
    print_table(("VOLUME", "BACKUP", "WHEN", "STORE", "HOST", "SIZE", "DATA", "SENT", ""), rows)


def show_restored(done: Row, run: Run, *, as_json: bool) -> None:
    """Print what a restore did, or would do."""
    if as_json:
        _print(done, run)
        return
    _warn(done)
    if done["dry_run"]:
        tell_restore(done)
    for one in done["volumes"]:
        print(
            f"  {one['volume']} on {one['host']} from {one['from_volume']}@{one['backup']} of {_time(one)}:"
            f" {human(one['restored_bytes'])} in {one['duration_s']:.1f} s"
        )
    if not done["dry_run"]:
        runs = f", revision {done['revision']} runs" if done["revision"] is not None else ""
        print(f"{done['stack']}: {len(done['volumes'])} volumes restored{runs}, in {run.duration_s:.1f} s")
    print(f"run: {run.url}")


def show_instant(done: Row, run: Run, *, as_json: bool) -> None:
    """Print what became of a volume that was used while it was restored."""
    if as_json:
        _print(done, run)
        return
    _warn(done)
    if done["dry_run"]:
        tell_restore(done)
    if one := done["arrived"]:
        print(
            f"  {one['volume']} on {one['host']} from {one['from_volume']}@{one['backup']} of {_time(one)}:"
            f" could be used after {done['usable_s']:.1f} s, is all here after {run.duration_s:.1f} s"
        )
    print(f"run: {run.url}")


def tell_restore(plan: Row) -> None:
    """Tell the person who is going to be asked what a restore would do, on stderr."""
    for line in plan["plan"]:
        say(f"  {line}")


def show_verified(found: Row, run: Run, *, as_json: bool) -> None:
    """Print what was verified, and what is bad."""
    if as_json:
        _print(found, run)
        return
    for one in found["bad"]:
        damages = ", ".join(f"{one['volume']}@{backup}" for backup in one["backups"])
        print(f"  bad: {one['object']}, bytes {one['start']} to {one['end']}: {one['what']}; damages {damages}")
    state = "all as it was written"
    if found["bad"]:
        state = f"{len(found['bad'])} bad, which damages {len(found['damaged'])}; the next backup mends what it can"
    print(
        f"{found['stack']}: {found['checked_backups']} backups of {len(found['volumes'])} volumes looked at,"
        f" {human(found['checked_bytes'])} read, {state}, in {run.duration_s:.1f} s"
    )
    print(f"run: {run.url}")


def show_pruned(done: Row, run: Run, *, as_json: bool) -> None:
    """Print which backups are kept and which are not, with reasons."""
    if as_json:
        _print(done, run)
        return
    for volume in done["volumes"]:
        for one in volume["decisions"]:
            verb = "keep" if one["keep"] else "would drop" if done["dry_run"] else "drop"
            print(f"  {verb:<10} {volume['volume']}@{one['backup']}  {_time(one)}  {', '.join(one['reasons'])}")
        would = "would be freed" if done["dry_run"] else "freed"
        later, now = human(volume["condemned_bytes"]), human(volume["deleted_bytes"])
        print(f"{volume['volume']} in {volume['store']}: {now} {would}, {later} in a day")
    print(f"run: {run.url}")


def _print(document: Row, run: Run) -> None:
    about = {"run": {"id": run.id, "url": run.url}, "duration_s": round(run.duration_s, 3)}
    print(json.dumps({**document, **about}, indent=2))


def _warn(done: Row) -> None:
    for warning in done["warnings"]:
        say(f"warning: {warning}")


def _time(each: Row) -> str:
    return local_time(datetime.fromisoformat(each["created"]))


def show_drill(report: Mapping[str, Any], run: Run, *, as_json: bool) -> None:
    """Print what a drill proved."""
    if as_json:
        _print(report, run)
        return
    restored = ", ".join(f"{v}@{b}" for v, b in zip(report["volumes"], report["backups"], strict=True))
    _warn(report)
    print(f"  restored and compared {restored} ({human(report['verified_bytes'])}), file systems sound")
    print(f"  opened by the recovery key: {', '.join(report['opened'])}")
    print(f"  ran healthy on it: {', '.join(report['services'])} on {report['host']}, with no way out")
    for mount in report["left_out"]:
        print(f"  did not see {mount}")
    for service in report["checks"]:
        print(f"  passed its check: {service}")
    age = report["data_age_s"] / 3600
    print(f"{report['stack']}: can be recovered in {report['recovery_s']:.1f} s, to data {age:.1f} h old")
    print(f"run: {run.url}")
