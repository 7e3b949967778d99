"""Stampede from Python: send stacks, start verbs, wait for what they did, read what runs."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stampede.client import requests as ask
from stampede.client.api import PrefectApi
from stampede.client.documents import Documents
from stampede.client.history import known_stacks, read_history
from stampede.client.instances import read_instances, stacks_that_run
from stampede.client.lock import Lock, read_lock, release
from stampede.client.outcomes import outcome_of, value_of
from stampede.client.runs import Run, Watcher, cancel_run, follow, read_run, start_run
from stampede.client.stores import Stores
from stampede.client.views import HistoryEntry, InstanceView
from stampede.documents import CANDIDATE_TYPE, document_name
from stampede.planning.changes import Outcome
from stampede.stackfile import load_stack


class Client:
    """One server. Every verb starts a flow run, waits for its end and returns its `Outcome`; `start` does not wait.

    Raises, from every method: ServerUnreachable, BadInput for a wrong password; from verbs also the error that ended
    the run (StackLocked, UpdateFailed, Cancelled, … of `stampede.errors`).
    """

    def __init__(self, url: str, auth: str = "", *, requested_by: str = "", timeout_s: float = 15.0) -> None:
        """`url` such as `http://127.0.0.1:4200`, `auth` is `user:password`, `timeout_s` is for one request."""
        self.api = PrefectApi(url, auth, timeout_s=timeout_s)
        self.requested_by = requested_by or _whoami()
        self.stores = Stores(self.api)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Afterwards the connection is closed; runs go on."""
        self.api.close()

    def send(self, stack: str, document: Mapping[str, Any]) -> str:
        """Store a resolved document (as `LoadedStack.document`) as a candidate, encrypted; its name."""
        name = f"{document_name(stack)}-{secrets.token_hex(6)}"
        Documents(self.api, CANDIDATE_TYPE).create(name, self._candidate(stack, document))
        return name

    def _candidate(self, stack: str, document: Mapping[str, Any]) -> dict[str, str]:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return {"stack": stack, "created": created, "by": self.requested_by, "content": json.dumps(document)}

    def start(self, request: ask.Request) -> Run:
        """Start a verb and return its run at once."""
        return start_run(self.api, request)

    def wait(self, run: Run | str, *, watch: Watcher | None = None, timeout_s: float | None = None) -> Outcome:
        """What a run did, once it has ended; `watch` is called with the run and its steps on the way."""
        run_id = run if isinstance(run, str) else run.id
        return outcome_of(self.api, follow(self.api, run_id, watch, timeout_s))

    def result(self, run: Run | str, *, watch: Watcher | None = None, timeout_s: float | None = None) -> Any:
        """What a run returned, as plain JSON, once it has ended: for flows that return no outcome."""
        run_id = run if isinstance(run, str) else run.id
        return value_of(self.api, follow(self.api, run_id, watch, timeout_s))

    def read_run(self, run_id: str) -> Run:
        """A run as it is now. Raises: UnknownName."""
        return read_run(self.api, run_id)

    def cancel(self, run: Run | str) -> None:
        """Ask a run to stop at its next task boundary; what serves goes on serving."""
        cancel_run(self.api, run if isinstance(run, str) else run.id)

    def deploy(
        self,
        stack: str,
        *,
        document: Mapping[str, Any] | None = None,
        revision: int | None = None,
        images: Mapping[str, str] | None = None,
        dry_run: bool = False,
        why: str = "",
    ) -> Outcome:
        """Make what runs equal to `document`, to a kept `revision` with the images it had, or to the wanted one.

        With other `images` (service to reference) if any are given. What is deployed is the stack's next revision.
        """
        candidate = None if document is None else self.send(stack, document)
        request = ask.DeployStack(
            stack=stack,
            candidate=candidate,
            revision=revision,
            images=dict(images) if images else None,
            dry_run=dry_run,
            why=why,
            requested_by=self.requested_by,
        )
        return self.wait(self.start(request))

    def deploy_files(
        self,
        files: Sequence[Path | str] = (),
        *,
        profiles: Sequence[str] = (),
        env_files: Sequence[Path | str] = (),
        project_name: str | None = None,
        dry_run: bool = False,
        why: str = "",
    ) -> Outcome:
        """Resolve stack files here, send them, deploy them. Raises: StackFileError, with file, line and fix."""
        loaded = load_stack(
            [Path(file) for file in files],
            profiles=profiles,
            env_files=[Path(file) for file in env_files],
            project_name=project_name,
        )
        return self.deploy(loaded.stack.name, document=loaded.document, dry_run=dry_run, why=why)

    def plan(
        self, stack: str, document: Mapping[str, Any] | None = None, *, images: Mapping[str, str] | None = None
    ) -> Outcome:
        """What deploying `document`, or the wanted revision with other `images`, would change, and why."""
        candidate = None if document is None else self.send(stack, document)
        request = ask.PlanStack(stack=stack, candidate=candidate, images=dict(images) if images else None)
        return self.wait(self.start(request))

    def scale(self, stack: str, replicas: Mapping[str, int], *, why: str = "") -> Outcome:
        """Run this many replicas of these services."""
        request = ask.ScaleService(stack=stack, replicas=dict(replicas), why=why, requested_by=self.requested_by)
        return self.wait(self.start(request))

    def rollback(self, stack: str, revision: int | None = None, *, why: str = "") -> Outcome:
        """Go back to a revision, to the one before the newest if none is named."""
        request = ask.RollbackStack(stack=stack, revision=revision, why=why, requested_by=self.requested_by)
        return self.wait(self.start(request))

    def restart(self, stack: str, services: Sequence[str] = (), *, why: str = "") -> Outcome:
        """Restart the instances of these services, of all when none is named."""
        request = ask.RestartService(stack=stack, services=list(services), why=why, requested_by=self.requested_by)
        return self.wait(self.start(request))

    def remove(self, stack: str, *, volumes: bool = False, why: str = "") -> Outcome:
        """Remove what a stack runs, with `volumes` its data as well."""
        request = ask.RemoveStack(stack=stack, volumes=volumes, why=why, requested_by=self.requested_by)
        return self.wait(self.start(request))

    def ps(self, stack: str | None = None) -> list[InstanceView]:
        """What runs, as hosts last reported it: answers at once, also for a host that is dead."""
        return read_instances(self.api, stack)

    def stacks(self) -> list[str]:
        """Names of all stacks that have a revision or of which something runs."""
        return sorted({*known_stacks(self.api), *stacks_that_run(self.api)})

    def lock(self, stack: str) -> Lock | None:
        """The change of a stack that is under way, or None."""
        return read_lock(self.api, stack)

    def unlock(self, lock: Lock, *, within_s: float = 30.0) -> None:
        """Afterwards the run that held this lock is cancelled and the lock free.

        A run that does not stop within that time (its worker may be dead) is closed; fencing keeps it from doing more.
        """
        release(self.api, lock, within_s)

    def history(self, stack: str) -> list[HistoryEntry]:
        """Changes of a stack, newest first."""
        return read_history(self.api, stack)


def _whoami() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
