"""How every changing verb goes: start the run, show it while it goes on, say at the end what it did."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import typer

from stampede.cli.progress import Progress
from stampede.cli.session import say
from stampede.client import Client, Outcome, Request, Run, StackRequest
from stampede.errors import StampedeError

DETACHED = 130


def carry_out(client: Client, request: StackRequest, *, as_json: bool, detach: bool = False) -> None:
    """Afterwards the verb is done and summed up on stdout; with `detach` it has been started.

    Ctrl-C leaves the run alone and ends with exit code 130. Raises: the error that ended the run.
    """
    began = time.monotonic()
    run = client.start(request)
    if detach:
        show_detached(run, request.stack, as_json=as_json)
        return
    outcome = wait_for(client, run)
    show_outcome(outcome, replace(run, duration_s=time.monotonic() - began), as_json=as_json)


def wait_for(client: Client, run: Run) -> Outcome:
    """What a run did, with its progress on stderr while it goes on. Raises: the error that ended it."""
    with following(run) as progress:
        return client.wait(run, watch=progress.show)


def result_of(client: Client, request: Request) -> Any:
    """What a flow returned, as plain JSON, with its progress on stderr. Raises: the error that ended it."""
    return timed_result_of(client, request)[0]


def timed_result_of(client: Client, request: Request) -> tuple[Any, Run]:
    """The same, and its run with how long it took as the command saw it."""
    began = time.monotonic()
    run = client.start(request)
    with following(run) as progress:
        result = client.result(run, watch=progress.show)
    return result, replace(run, duration_s=time.monotonic() - began)


@contextmanager
def following(run: Run) -> Iterator[Progress]:
    """Progress of a run. Ctrl-C inside leaves the run alone, says how to get back to it, and exits with 130."""
    with Progress() as progress:
        try:
            yield progress
        except KeyboardInterrupt as interrupt:
            progress.close()
            say(f"\ndetached: the run goes on, at {run.url}")
            _say_how_to_return(run)
            raise typer.Exit(DETACHED) from interrupt
        except StampedeError:
            progress.close()
            say(f"run: {run.url}")
            raise


def outcome_document(outcome: Outcome, run: Run) -> dict[str, Any]:
    """The one object that a verb prints with --json. `changed` and `removed` are names and have none in common."""
    removed = set(outcome.removed)
    return {
        "stack": outcome.stack,
        "revision": outcome.revision,
        "changed": list(dict.fromkeys(each.name for each in outcome.changes if each.name not in removed)),
        "unchanged": list(outcome.unchanged),
        "removed": list(outcome.removed),
        "run": {"id": run.id, "url": run.url},
        "duration_s": round(run.duration_s, 3),
        "dry_run": outcome.dry_run,
        "changes": [each.model_dump(mode="json") for each in outcome.changes],
        "warnings": list(outcome.warnings),
    }


def show_outcome(outcome: Outcome, run: Run, *, as_json: bool) -> None:
    """Print what a verb did: for programs one JSON object, for people the changes with their reasons and a summary."""
    document = outcome_document(outcome, run)
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for warning in outcome.warnings:
        say(f"warning: {warning}")
    show_changes(outcome)
    revision = "" if outcome.revision is None else f" revision {outcome.revision}:"
    done = "would change" if outcome.dry_run else "changed"
    print(
        f"{outcome.stack}:{revision} {len(document['changed'])} {done}, {len(outcome.removed)} removed, "
        f"{len(outcome.unchanged)} unchanged, in {run.duration_s:.1f} s"
    )
    print(f"run: {run.url}")


def show_changes(outcome: Outcome) -> None:
    """Print the changes, one line each: what happens to whom, and why."""
    width = max((len(each.name) for each in outcome.changes), default=0)
    for change in outcome.changes:
        print(f"  {change.action.value:<9} {change.name:<{width}}  {change.reason}")


def tell_plan(plan: Outcome) -> None:
    """Tell the person who is going to be asked what would change and why, on stderr."""
    for change in plan.changes:
        say(f"  {change.action.value:<9} {change.name}  {change.reason}")
    for warning in plan.warnings:
        say(f"warning: {warning}")


def show_plan(plan: Outcome, run: Run, *, as_json: bool) -> None:
    """Print what would change and why."""
    if as_json:
        document = {
            "stack": plan.stack,
            "changes": [each.model_dump(mode="json") for each in plan.changes],
            "unchanged": list(plan.unchanged),
            "removed": list(plan.removed),
            "warnings": list(plan.warnings),
            "run": {"id": run.id, "url": run.url},
        }
        print(json.dumps(document, indent=2))
        return
    for warning in plan.warnings:
        say(f"warning: {warning}")
    show_changes(plan)
    print(f"{plan.stack}: {len(plan.changes)} would change, {len(plan.unchanged)} unchanged")


def show_detached(run: Run, stack: str, *, as_json: bool) -> None:
    """Print that a run has been started, and how to get back to it."""
    if as_json:
        print(json.dumps({"stack": stack, "run": {"id": run.id, "url": run.url}}, indent=2))
        return
    print(f"{stack}: run {run.id} has been started")
    print(f"run: {run.url}")
    _say_how_to_return(run)


def _say_how_to_return(run: Run) -> None:
    say(f"hint: stampede follow {run.id} follows it, stampede cancel {run.id} stops it")
