"""What the commands about stores do: write one down, let hosts look at it, show what they found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stampede.backup.recovery_key import new_recovery_key
from stampede.cli.aws_login import AwsSettings
from stampede.cli.recovery_keys import STANDARD, key_in, write_key
from stampede.cli.session import open_client, say
from stampede.cli.tables import local_time, print_table
from stampede.cli.verbs import timed_result_of
from stampede.client import Client, Run
from stampede.client.requests import AddStore, CheckStore, Request
from stampede.client.stores import NewStore
from stampede.errors import BadInput, ServerUnreachable, StampedeError
from stampede.stores import (
    DEFAULT_REGION,
    Joining,
    LockMode,
    StoreReport,
    StoreView,
    bucket_and_prefix,
    check_endpoint,
    check_store_name,
)


@dataclass(frozen=True)
class Wanted:
    """What `store add` was told."""

    name: str
    address: str
    endpoint: str | None
    region: str | None
    profile: str | None
    ca_file: str | None
    key_file: Path | None
    new: bool
    take_over: bool
    key_out: Path | None
    lock: tuple[int, str]

    @property
    def lock_mode(self) -> LockMode:
        """Raises: BadInput."""
        match self.lock[1]:
            case "governance" | "compliance" as mode:
                return mode
            case other:
                raise BadInput(f"--lock-mode {other} is not known", "governance or compliance")

    @property
    def joining(self) -> Joining:
        """Raises: BadInput for options that do not go together."""
        if self.key_file is None and (self.new or self.take_over):
            raise BadInput("--new and --take-over say what the key of --key-file is for", "give --key-file")
        if self.new and self.take_over:
            raise BadInput("a new repository has nothing to take over", "give one of --new and --take-over")
        if self.key_file is not None and self.key_out is not None:
            raise BadInput("the recovery key is in a file already", "give one of --key-file and --key-out")
        if self.key_file is None or self.new:
            return "make"
        return "take over" if self.take_over else "join"

    def found_here(self) -> NewStore:
        """The store, with what this machine says of the rest. Raises: BadInput."""
        name, (bucket, prefix), joining = check_store_name(self.name), bucket_and_prefix(self.address), self.joining
        key = key_in(self.key_file) if self.key_file else new_recovery_key()
        here = AwsSettings(self.profile)
        endpoint = here.endpoint if self.endpoint is None else self.endpoint
        return NewStore(
            name=name,
            bucket=bucket,
            prefix=prefix,
            endpoint=check_endpoint(endpoint) if endpoint else "",
            region=self.region or here.region or DEFAULT_REGION,
            ca_file=self.ca_file or "",
            login=here.login(),
            joining=joining,
            lock_days=self.lock[0],
            lock_mode=self.lock_mode,
            recovery_key=key,
            by="",
        )


def add_store(wanted: Wanted, server: str | None, *, as_json: bool) -> None:
    """Afterwards the store is ready for backups, and its new recovery key was shown or written; or nothing has changed.

    Raises: BadInput, Refused, and the error that ended the run.
    """
    new = wanted.found_here()
    to_file = wanted.key_out if wanted.key_out != STANDARD else None
    with open_client(server) as client:
        key = client.stores.write_down(replace(new, by=client.requested_by))
        run, report = _added(client, new.name, key, to_file)
        shows = wanted.key_file is None and to_file is None
        asked = shows and (not as_json or wanted.key_out == STANDARD)
        _show_report(report, run, as_json=as_json, recovery_key=key if asked else None)
        if wanted.key_file is None or wanted.new:
            _say_what_is_left(new.name, to_file)
        if new.login.session_token:
            say("warning: these credentials expire; a store needs some that do not")


def _added(client: Client, name: str, key: str, key_out: Path | None) -> tuple[Run, StoreReport]:
    """Afterwards the store is ready. The file of the key is there before anything is sealed with it."""
    if key_out is not None:
        try:
            write_key(key_out, key)
        except StampedeError:
            client.stores.remove(name)
            raise
    try:
        return _followed(client, AddStore(store=name))
    except ServerUnreachable:  # the run may well go on
        raise
    except StampedeError:
        if key_out is not None:
            key_out.unlink()
        raise


def check_store(client: Client, name: str, *, as_json: bool) -> None:
    """Afterwards all hosts have looked at the store, and what they found was shown. Raises: what they met."""
    client.stores.read(name)
    run, report = _followed(client, CheckStore(store=name))
    _show_report(report, run, as_json=as_json)


def export_key(client: Client, name: str, key_out: Path | None, *, as_json: bool) -> None:
    """Afterwards the recovery key was printed, or is in a new file."""
    key, store = client.stores.recovery_key(name), client.stores.read(name)
    if key_out is not None and key_out != STANDARD:
        write_key(key_out, key)
        say(f"the recovery key of store {name} is in {key_out}; keep it elsewhere")
    elif as_json:
        print(json.dumps({"name": name, "repository": store.repository, "recovery_key": key}, indent=2))
    else:
        print(key)


def show_stores(stores: Sequence[StoreView], *, as_json: bool) -> None:
    """Print stores; as JSON an array of objects."""
    if as_json:
        print(json.dumps([_view_document(each) for each in stores], indent=2))
        return
    if not stores:
        print("there is no store yet")
        return
    rows = [
        (each.name, each.address, each.endpoint or "amazon", _state(each), each.repository, local_time(each.created))
        for each in stores
    ]
    print_table(("NAME", "ADDRESS", "SERVER", "STATE", "REPOSITORY", "ADDED"), rows)


def _followed(client: Client, request: Request) -> tuple[Run, StoreReport]:
    found, run = timed_result_of(client, request)
    return run, StoreReport.model_validate(found)


def _show_report(report: StoreReport, run: Run, *, as_json: bool, recovery_key: str | None = None) -> None:
    if as_json:
        document: dict[str, Any] = {
            **report.model_dump(mode="json"),
            "several_writers": report.honoured.several_writers,
            "warnings": list(report.honoured.follows),
            "run": {"id": run.id, "url": run.url},
        }
        print(json.dumps(document | ({"recovery_key": recovery_key} if recovery_key else {}), indent=2))
        return
    for warning in report.honoured.follows:
        say(f"warning: {warning}")
    print(f"{report.store}: repository {report.repository} at {report.address}, reached by {', '.join(report.hosts)}")
    print(f"{report.volumes} volumes have backups there; this cluster is {report.origin} in them")
    if recovery_key:
        print(f"recovery key: {recovery_key}")


def _say_what_is_left(name: str, key_out: Path | None) -> None:
    where = f"it is in {key_out}" if key_out else f"stampede store key export {name} shows it again"
    say("Keep the recovery key where neither this machine nor the bucket is. Without it and this server, backups are")
    say(f"lost; {where}. No backup runs before you have shown to have it: stampede store key confirm {name}")


def _state(store: StoreView) -> str:
    if not store.ready:
        return "not added yet"
    if not store.confirmed:
        return "key not confirmed"
    return "ready" if store.honoured is None or store.honoured.several_writers else "ready, single writer"


def _view_document(store: StoreView) -> dict[str, Any]:
    known = store.honoured
    return {
        **store.model_dump(mode="json"),
        "address": store.address,
        "several_writers": None if known is None else known.several_writers,
        "warnings": list(known.follows) if known else [],
    }
