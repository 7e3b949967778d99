"""What is measured, by name, in the order in which it is run. `at rest` comes last: after everything else has run."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.lab import Lab
from benchmarks.results import Result
from benchmarks.scenarios import (
    at_rest,
    backup,
    change_one,
    deploy,
    dispatch,
    no_op,
    rolling_update,
    scale_up,
    snapshot,
    start_up,
    storage_limits,
)

Scenario = Callable[[Lab, int], Result]

SCENARIOS: dict[str, Scenario] = {
    "deploy-replicas": deploy.of_one_service,
    "deploy-services": deploy.of_many_services,
    "no-op": no_op.run,
    "scale": scale_up.run,
    "change-one": change_one.run,
    "rolling-update": rolling_update.run,
    "dispatch": dispatch.run,
    "start-up": start_up.run,
    "snapshot": snapshot.run,
    "backup-https": backup.over_https,
    "backup-http": backup.over_http,
    "backup-many-files": backup.of_many_files,
    "storage-limits": storage_limits.run,
    "at-rest": at_rest.run,
}
