"""Commands about runs that are under way: follow one, cancel one, unlock a stack."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import options

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `up --detach` or `history` shows it.")]
STOP_WITHIN_S = 30.0


def follow(run: RunId, as_json: options.Json = False, server: options.Server = None) -> None:
    """Follow a run to its end, as the command that started it would have."""
    from stampede.cli.session import open_client
    from stampede.cli.verbs import show_outcome, wait_for

    with open_client(server) as client:
        begun = client.read_run(run)
        outcome = wait_for(client, begun)
        show_outcome(outcome, client.read_run(run), as_json=as_json)


def cancel(run: RunId, server: options.Server = None) -> None:
    """Stop a run at its next step. What serves goes on serving; the same command again finishes the work."""
    from stampede.cli.session import open_client

    with open_client(server) as client:
        found = client.read_run(run)
        if found.is_final:
            print(f"{found.name} has ended already: {found.state.lower()}")
            return
        client.cancel(found)
        print(f"{found.name} is being cancelled: {found.url}")


def unlock(
    project_name: options.Project = None,
    yes: options.Yes = False,
    server: options.Server = None,
) -> None:
    """Cancel the run that holds the lock of a stack, and free the lock."""
    from stampede.cli.asking import confirm
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client

    with open_client(server) as client:
        stack = chosen_stack(client, project_name)
        lock = client.lock(stack)
        if lock is None:
            print(f"{stack} is not locked")
            return
        if not yes:
            confirm(f"{stack} is locked {lock.described}. Cancel that run?")
        client.unlock(lock, within_s=STOP_WITHIN_S)
        print(f"{stack} is unlocked; run {lock.run} was cancelled")
