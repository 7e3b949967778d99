"""Commands that change what runs: each starts one flow and follows it."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import options
from stampede.errors import BadInput


def up(
    file: options.Files = None,
    project_name: options.Project = None,
    profile: options.Profiles = None,
    env_file: options.EnvFiles = None,
    build: Annotated[bool, typer.Option("--build", help="Build images before, also those that are there.")] = False,
    pull: options.Pull = None,
    force_recreate: Annotated[
        bool, typer.Option("--force-recreate", help="Replace instances even if nothing changed.")
    ] = False,
    why: options.Why = "",
    wait: options.Wait = None,
    dry_run: options.DryRun = False,
    detach: options.Detach = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Make what runs equal to the stack file: the smallest change, old replicas serving until new ones are healthy."""
    del yes  # `up` asks nothing; scripts may say --yes to every verb.
    _check_pull(pull)
    from stampede.cli.loading import load
    from stampede.cli.session import open_client
    from stampede.cli.verbs import carry_out
    from stampede.client import DeployStack

    loaded = load(file, project_name, profile, env_file)
    name = loaded.stack.name
    with open_client(server) as client:
        request = DeployStack(
            stack=name,
            candidate=client.send(name, loaded.document),
            requested_by=client.requested_by,
            why=why or None,
            pull=pull,
            build=build or None,
            force_recreate=force_recreate or None,
            dry_run=dry_run or None,
            wait_for_lock_s=wait,
        )
        carry_out(client, request, as_json=as_json, detach=detach)


def scale(
    replicas: Annotated[list[str], typer.Argument(metavar="SERVICE=N...", help="Such as web=5.")],
    file: options.Files = None,
    project_name: options.Project = None,
    why: options.Why = "",
    wait: options.Wait = None,
    dry_run: options.DryRun = False,
    detach: options.Detach = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Run another number of replicas of some services."""
    wanted = _replicas(replicas)
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client
    from stampede.cli.verbs import carry_out
    from stampede.client import ScaleService

    with open_client(server) as client:
        request = ScaleService(
            stack=chosen_stack(client, project_name, file),
            replicas=wanted,
            requested_by=client.requested_by,
            why=why or None,
            dry_run=dry_run or None,
            wait_for_lock_s=wait,
        )
        carry_out(client, request, as_json=as_json, detach=detach)


def rollback(
    revision: Annotated[
        int | None, typer.Argument(metavar="[REVISION]", min=1, help="Default: the last that served before.")
    ] = None,
    file: options.Files = None,
    project_name: options.Project = None,
    why: options.Why = "",
    wait: options.Wait = None,
    dry_run: options.DryRun = False,
    detach: options.Detach = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Go back to a kept revision (stampede history lists them)."""
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client
    from stampede.cli.verbs import carry_out
    from stampede.client import RollbackStack

    with open_client(server) as client:
        request = RollbackStack(
            stack=chosen_stack(client, project_name, file),
            revision=revision,
            requested_by=client.requested_by,
            why=why or None,
            dry_run=dry_run or None,
            wait_for_lock_s=wait,
        )
        carry_out(client, request, as_json=as_json, detach=detach)


def restart(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Default: all but jobs that others wait for.")
    ] = None,
    file: options.Files = None,
    project_name: options.Project = None,
    dry_run: options.DryRun = False,
    why: options.Why = "",
    wait: options.Wait = None,
    detach: options.Detach = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Restart instances of services, in waves like an update."""
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client
    from stampede.cli.verbs import carry_out
    from stampede.client import RestartService

    with open_client(server) as client:
        request = RestartService(
            stack=chosen_stack(client, project_name, file),
            services=services or [],
            requested_by=client.requested_by,
            why=why or None,
            dry_run=dry_run or None,
            wait_for_lock_s=wait,
        )
        carry_out(client, request, as_json=as_json, detach=detach)


def down(
    file: options.Files = None,
    project_name: options.Project = None,
    volumes: Annotated[
        bool, typer.Option("--volumes", "-v", help="Remove its named volumes too: the data is lost.")
    ] = False,
    why: options.Why = "",
    wait: options.Wait = None,
    dry_run: options.DryRun = False,
    detach: options.Detach = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Remove what a stack runs. Volumes stay, unless --volumes is said; its revisions stay for a later rollback."""
    from stampede.cli.asking import confirm
    from stampede.cli.loading import chosen_stack
    from stampede.cli.session import open_client
    from stampede.cli.verbs import carry_out
    from stampede.client import RemoveStack

    with open_client(server) as client:
        stack = chosen_stack(client, project_name, file)
        if not (yes or dry_run):
            lost = " and the data of its volumes" if volumes else " (its volumes stay)"
            confirm(f"Remove stack {stack}{lost}?", unattended=not volumes)
        request = RemoveStack(
            stack=stack,
            volumes=volumes,
            requested_by=client.requested_by,
            why=why or None,
            dry_run=dry_run or None,
            wait_for_lock_s=wait,
        )
        carry_out(client, request, as_json=as_json, detach=detach)


def adopt(
    file: options.Files = None,
    project_name: options.Project = None,
    profile: options.Profiles = None,
    env_file: options.EnvFiles = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Take over a running Compose project of the stack's name: shows the plan, then asks. The originals are kept."""
    from stampede.cli.asking import confirm
    from stampede.cli.loading import load
    from stampede.cli.session import open_client, say
    from stampede.cli.verbs import carry_out, wait_for
    from stampede.client import AdoptStack

    loaded = load(file, project_name, profile, env_file)
    name = loaded.stack.name
    with open_client(server) as client:
        candidate = client.send(name, loaded.document)
        trial = AdoptStack(stack=name, candidate=candidate, requested_by=client.requested_by, dry_run=True)
        if dry_run:
            carry_out(client, trial, as_json=as_json)
            return
        if not yes:
            planned = wait_for(client, client.start(trial))
            for change in planned.changes:
                say(f"  {change.action.value:<9} {change.name}  {change.reason}")
            for warning in planned.warnings:
                say(f"warning: {warning}")
            confirm(f"Adopt {name} this way?")
        request = AdoptStack(stack=name, candidate=candidate, requested_by=client.requested_by)
        carry_out(client, request, as_json=as_json)


def _replicas(words: list[str]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for word in words:
        service, equals, number = word.partition("=")
        if not equals or not service or not number.isdecimal():
            raise BadInput(f"{word!r} does not say how many of what", "such as: stampede scale web=5")
        wanted[service] = int(number)
    return wanted


def _check_pull(pull: str | None) -> None:
    if pull is not None and pull not in options.PULL_POLICIES:
        raise BadInput(f"--pull {pull} is not known", f"one of {', '.join(options.PULL_POLICIES)}")
