"""The worker of this host: `python -m stampede.deployments.worker_entry`. Settings come from the environment.

STAMPEDE_HOST        the host's name, which is its queue (default: the hostname)
STAMPEDE_CONTROL     "1": serve the queue `control` as well, and keep the deployments of the verbs registered
STAMPEDE_FLOWS       module:attribute of the installed flows (default: stampede.flows:FLOWS)
STAMPEDE_VERBS       module:attribute of those among them that people start (default: stampede.flows:VERBS)
STAMPEDE_BACKGROUND  module:attribute of the jobs that run beside them (default: stampede.deployments.host_jobs:JOBS)
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.logging import get_logger

from stampede.blocks import BLOCKS
from stampede.deployments.boot import bring_back_volumes
from stampede.deployments.host_worker import CONTROL_QUEUE, AnyFlow, HostWorker, Job, ensure_queues
from stampede.deployments.register import ensure_result_storage, register_blocks, register_generic
from stampede.errors import StampedeError
from stampede.places import Places
from stampede.tasks.deployments import refresh_stack_deployments

_log = get_logger("stampede.worker")


def main() -> None:
    """Work until SIGTERM or SIGINT. Exits 0, or 6 when a worker of this host is running already.

    The event loop is not in the main thread, because Prefect's engine takes over the signals of the main thread.
    """
    host = os.environ.get("STAMPEDE_HOST") or socket.gethostname()
    worker = _worker(host)
    stopping, started = asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

    def stop_on_signal() -> None:
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        started.wait()
        loop.call_soon_threadsafe(stopping.set)

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(started.set)
        ended = _outcome(loop, worker, stopping)
        sys.stdout.flush()
        sys.stderr.flush()
        # Nothing is unwound: what still runs is resumed or closed by the next start, as after kill -9.
        os._exit(ended)

    threading.Thread(target=work, name="worker").start()
    stop_on_signal()


def _outcome(loop: asyncio.AbstractEventLoop, worker: HostWorker, stopping: asyncio.Event) -> int:
    try:
        clean = loop.run_until_complete(worker.serve(stopping))
    except StampedeError as error:
        _log.error("%s", error)
        return error.exit_code
    except Exception:
        # The supervisor starts the worker again; the log must say why.
        _log.exception("the worker ended")
        return 1
    _log.info("the worker ended, %s", "with nothing left to do" if clean else "leaving runs to its next start")
    return 0


def _worker(host: str) -> HostWorker:
    flows: Mapping[str, AnyFlow] = _named("STAMPEDE_FLOWS", "stampede.flows:FLOWS")
    verbs: Sequence[AnyFlow] = _named("STAMPEDE_VERBS", "stampede.flows:VERBS")
    background: Sequence[Job] = _named("STAMPEDE_BACKGROUND", "stampede.deployments.host_jobs:JOBS")
    control = os.environ.get("STAMPEDE_CONTROL", "1") == "1"
    places = Places.of_environment()

    async def prepare(client: PrefectClient) -> None:
        await asyncio.to_thread(bring_back_volumes, places)
        await ensure_queues(client, [CONTROL_QUEUE, host])
        await register_blocks(client, BLOCKS)
        await ensure_result_storage(client)
        if control:
            await register_generic(client, verbs)
            await refresh_stack_deployments(client)

    return HostWorker(
        host=host,
        flows=flows,
        places=places,
        queues=[CONTROL_QUEUE, host] if control else [host],
        background=background,
        prepare=prepare,
    )


def _named(variable: str, default: str) -> Any:
    module, _, attribute = os.environ.get(variable, default).partition(":")
    return getattr(importlib.import_module(module), attribute)


if __name__ == "__main__":
    main()
