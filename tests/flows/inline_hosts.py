"""Hosts inside the test: what `on_hosts` does through a worker, without one.

The dispatch itself (queues, workers, resuming, cancelling) is tested in tests/functional/execution. Here a step runs
at once as a subflow, with the host's fakes in place of its daemons; parameters, results and errors are written as
JSON and read back on their way, as they are between two processes.
"""

from __future__ import annotations

import importlib
import json
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from prefect.flows import Flow
from pydantic import TypeAdapter

from stampede import results
from stampede.errors import StampedeError
from stampede.tasks.this_host import ThisHost, instead_of_this_host

# Those below stampede.flows that reach hosts.
MODULES = (
    "converge",
    "adopt_stack",
    "eject_stack",
    "rebuild_server",
    "volumes.hosts",
    "volumes.snapshots",
    "volumes.shaping",
    "volumes.remaking",
    "volumes.standstill",
    "volumes.restore_stack",
    "backups.backup_stack",
    "backups.drill",
    "backups.restore",
)


@contextmanager
def hosts_inline(hosts: Mapping[str, ThisHost]) -> Iterator[None]:
    """Inside the `with`, the cluster has exactly these hosts, and flows reach them without a worker.

    The verbs themselves run on the first of them.
    """

    async def on_hosts(
        parameters_of: Mapping[str, Mapping[str, Any]], flow: Flow[..., Any], /, *, step: str, reuse: bool = True
    ) -> dict[str, Any]:
        outcomes: dict[str, Any] = {}
        errors: list[StampedeError] = []
        for host, parameters in parameters_of.items():
            with instead_of_this_host(hosts[host]):
                try:
                    outcomes[host] = await _as_sent(flow, parameters)
                except StampedeError as error:
                    errors.append(error)
        if errors:
            raise errors[0]
        return outcomes

    async def on_host(host: str, flow: Flow[..., Any], /, *, step: str, reuse: bool = True, **parameters: Any) -> Any:
        return (await on_hosts({host: parameters}, flow, step=step, reuse=reuse))[host]

    async def schedulable_hosts() -> list[str]:
        return sorted(hosts)

    with pytest.MonkeyPatch.context() as patch, instead_of_this_host(next(iter(hosts.values()))):
        for name in MODULES:
            module = importlib.import_module(f"stampede.flows.{name}")
            if hasattr(module, "on_hosts"):
                patch.setattr(module, "on_hosts", on_hosts)
            if hasattr(module, "on_host"):
                patch.setattr(module, "on_host", on_host)
            if hasattr(module, "schedulable_hosts"):
                patch.setattr(module, "schedulable_hosts", schedulable_hosts)
        yield


async def _as_sent(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> Any:
    sent = json.loads(json.dumps(flow.serialize_parameters(dict(parameters))))
    try:
        value = await flow(**sent)
    except Exception as error:
        received = results.decode(results.encode(error))
        raise received from error
    returned = typing.get_type_hints(flow.fn).get("return", Any)
    return TypeAdapter(returned).validate_python(results.decode(results.encode(value)))
