"""Commands that only look: nothing is changed by any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import options


def plan(
    file: options.Files = None,
    project_name: options.Project = None,
    profile: options.Profiles = None,
    env_file: options.EnvFiles = None,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Say what `up` would change and why."""
    from stampede.cli.loading import load
    from stampede.cli.session import open_client
    from stampede.cli.verbs import show_plan, wait_for
    from stampede.client import PlanStack

    loaded = load(file, project_name, profile, env_file)
    name = loaded.stack.name
    with open_client(server) as client:
        run = client.start(PlanStack(stack=name, candidate=client.send(name, loaded.document)))
        show_plan(wait_for(client, run), run, as_json=as_json)


def config(
    file: options.Files = None,
    project_name: options.Project = None,
    profile: options.Profiles = None,
    env_file: options.EnvFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the resolved stack in canonical form, which is itself a stack file. Needs no server."""
    from stampede.cli.loading import load
    from stampede.stackfile.canonical import canonical_json, canonical_yaml

    loaded = load(file, project_name, profile, env_file)
    text = canonical_json(loaded) if as_json else canonical_yaml(loaded)
    print(text, end="" if text.endswith("\n") else "\n")


def ps(
    file: options.Files = None,
    project_name: options.Project = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="All stacks, not only the one of this folder.")
    ] = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """List instances as their hosts last reported them; all stacks, where no file and no -p names one."""
    from stampede.cli.loading import stack_of_here
    from stampede.cli.session import open_client
    from stampede.cli.tables import show_instances

    stack = None if everything else stack_of_here(project_name, file)
    with open_client(server) as client:
        show_instances(client.ps(stack), as_json=as_json)


def history(
    file: options.Files = None,
    project_name: options.Project = None,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """List the changes of a stack, newest first: which revision, when, who, why, what became of it."""
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client
    from stampede.cli.tables import show_history

    with open_client(server) as client:
        show_history(client.history(chosen_stack(client, project_name, file)), as_json=as_json)
