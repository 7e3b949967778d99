"""Commands that only look: nothing is changed by any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import groups


def plan(*, files: groups.StackFiles, answer: groups.Answer) -> None:
    """Say what `up` would change and why."""
    from stampede.cli.loading import pointing_into
    from stampede.cli.verbs import show_plan, wait_for
    from stampede.client import PlanStack

    loaded = files.load()
    name = loaded.stack.name
    with answer.client() as client, pointing_into(loaded):
        run = client.start(PlanStack(stack=name, candidate=client.send(name, loaded.document)))
        show_plan(wait_for(client, run), run, as_json=answer.as_json)


def config(
    *,
    files: groups.StackFiles,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the resolved stack in canonical form, which is itself a stack file. Needs no server."""
    from stampede.stackfile.canonical import canonical_json, canonical_yaml

    loaded = files.load()
    text = canonical_json(loaded) if as_json else canonical_yaml(loaded)
    print(text, end="" if text.endswith("\n") else "\n")


def ps(
    *,
    which: groups.StackName,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="All stacks, not only the one of this folder.")
    ] = False,
    answer: groups.Answer,
) -> None:
    """List instances as their hosts last reported them; all stacks, where no file and no -p names one."""
    from stampede.cli.tables import show_instances

    stack = None if everything else which.of_here()
    with answer.client() as client:
        show_instances(client.ps(stack), as_json=answer.as_json)


def history(*, which: groups.StackName, answer: groups.Answer) -> None:
    """List the changes of a stack, newest first: which revision, when, who, why, what became of it."""
    from stampede.cli.tables import show_history

    with answer.client() as client:
        show_history(client.history(which.chosen(client)), as_json=answer.as_json)
