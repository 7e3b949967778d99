"""Options that go together: one parameter of a command each, and what the command does with them.

A group is a dataclass whose fields are options; `spread` makes of a command with groups the one that Typer sees.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stampede.cli import options

if TYPE_CHECKING:
    from stampede.client import Client, Outcome, Run, StackRequest
    from stampede.client.requests import Request
    from stampede.stackfile import LoadedStack

Parameters = dict[str, inspect.Parameter]
R = TypeVar("R", bound="Request")


class Show(Protocol):
    """Prints what a run returned."""

    def __call__(self, found: Any, run: Run, /, *, as_json: bool) -> None: ...


@dataclass(frozen=True)
class StackFiles:
    """The stack that files describe."""

    file: options.Files = None
    project_name: options.Project = None
    profile: options.Profiles = None
    env_file: options.EnvFiles = None

    def load(self) -> LoadedStack:
        """The stack, with its warnings told. Raises: StackFileError."""
        from stampede.cli.loading import load

        return load(self.file, self.project_name, self.profile, self.env_file)


@dataclass(frozen=True)
class StackName:
    """The stack that is named, or found from here."""

    file: options.Files = None
    project_name: options.Project = None

    def chosen(self, client: Client) -> str:
        """The one named, that of the file here, or the only one there is. Raises: BadInput, UnknownName."""
        from stampede.cli.loading import chosen_stack

        return chosen_stack(client, self.project_name, self.file)

    def of_here(self) -> str | None:
        """The one named, or that of the file here; None without any."""
        from stampede.cli.loading import stack_of_here

        return stack_of_here(self.project_name, self.file)


@dataclass(frozen=True)
class Answer:
    """Where a command asks, and how it prints what it was told."""

    as_json: options.Json = False
    server: options.Server = None

    def client(self) -> AbstractContextManager[Client]:
        """A client of that server. Raises: BadInput, ServerUnreachable."""
        from stampede.cli.session import open_client

        return open_client(self.server)


@dataclass(frozen=True)
class Change:
    """How a verb that changes something goes."""

    why: options.Why = ""
    wait: options.Wait = None
    dry_run: options.DryRun = False
    detach: options.Detach = False
    as_json: options.Json = False
    server: options.Server = None

    def client(self) -> AbstractContextManager[Client]:
        """A client of that server. Raises: BadInput, ServerUnreachable."""
        from stampede.cli.session import open_client

        return open_client(self.server)

    def carry_out(self, client: Client, request: StackRequest) -> None:
        """Afterwards the request is done, or with --detach started, and summed up on stdout.

        Raises: the error that ended its run.
        """
        from stampede.cli.verbs import carry_out

        carry_out(client, self._of(client, request), as_json=self.as_json, detach=self.detach)

    def ask(self, client: Client, request: Request, show: Show) -> None:
        """The same for a verb whose run returns something of its own, which is shown by `show`."""
        from stampede.cli.verbs import show_detached, timed_result_of

        asked = self._of(client, request)
        if self.detach:
            show_detached(client.start(asked), request.subject or "", as_json=self.as_json)
            return
        show(*timed_result_of(client, asked), as_json=self.as_json)

    def tried_out(self, client: Client, request: StackRequest) -> Any:
        """What `ask` would do, as plain JSON. Raises: the error that ended its run."""
        from stampede.cli.verbs import result_of

        return result_of(client, replace(request, requested_by=client.requested_by, dry_run=True))

    def _of(self, client: Client, request: R) -> R:
        said: dict[str, Any] = {
            "requested_by": client.requested_by,
            "why": self.why or None,
            "dry_run": self.dry_run or None,
            "wait_for_lock_s": self.wait,  # unless nothing of the request waits for the stack's lock
        }
        return replace(request, **{each.name: said[each.name] for each in fields(request) if each.name in said})

    def try_out(self, client: Client, request: StackRequest) -> Outcome:
        """What carrying it out would change. Raises: the error that ended its run."""
        from stampede.cli.verbs import wait_for

        trial = replace(request, requested_by=client.requested_by, dry_run=True)
        return wait_for(client, client.start(trial))


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of its groups in the groups' places."""
    parameters = _parameters(command)
    groups: dict[str, type[Any]] = {
        name: each.annotation
        for name, each in parameters.items()
        if isinstance(each.annotation, type) and is_dataclass(each.annotation)
    }
    if not groups:
        return command
    options_of = {name: _parameters(group) for name, group in groups.items()}

    @functools.wraps(command)
    def spread_out(**words: Any) -> None:
        from stampede.cli import lean_httpx  # noqa: F401  first, before the command imports the client

        for name, group in groups.items():
            words[name] = group(**{option: words.pop(option) for option in options_of[name]})
        command(**words)

    shown = [option for name, each in parameters.items() for option in options_of.get(name, {name: each}).values()]
    spread_out.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in shown]
    )
    spread_out.__annotations__ = {each.name: each.annotation for each in shown}
    return spread_out


def _parameters(of: Callable[..., Any]) -> Parameters:
    return dict(inspect.signature(of, eval_str=True).parameters)
