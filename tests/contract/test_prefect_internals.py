"""What the host worker and on_host use of Prefect beyond its public interface is there, in the allowed range."""

from __future__ import annotations

import inspect

import prefect
from prefect.client.orchestration import PrefectClient
from prefect.flow_engine import AsyncFlowRunEngine, _flow_parameters
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.workers.base import BaseWorker

from stampede.deployments.host_worker import HostWorker
from stampede.deployments.host_worker_engine import HostEngine


def test_the_version_is_in_the_range_that_was_tried() -> None:
    assert prefect.__version__.split(".")[:2] == ["3", "8"]


def test_what_the_worker_overrides_is_called_by_prefect_under_these_names() -> None:
    for method in ("_submit_run", "run"):
        assert method in vars(BaseWorker)
        assert method in vars(HostWorker)
        ours, theirs = (inspect.signature(getattr(one, method)) for one in (HostWorker, BaseWorker))
        assert list(ours.parameters) == list(theirs.parameters)


def test_what_the_worker_calls_of_its_base_is_there() -> None:
    for method in ("setup", "teardown", "_sync_and_initialize", "get_and_submit_flow_runs", "_propose_pending_state"):
        assert inspect.iscoroutinefunction(getattr(BaseWorker, method))
    source = inspect.getsource(BaseWorker.__init__)
    for attribute in ("_submitting_flow_run_ids", "_runs_task_group", "_has_successfully_synced", "_work_queues"):
        assert f"self.{attribute}" in source


def test_what_the_engine_overrides_is_called_by_prefect_under_these_names() -> None:
    for method in ("handle_crash", "setup_flow_run_suspension_request"):
        assert hasattr(AsyncFlowRunEngine, method)
        assert method in vars(HostEngine)
    for method in ("handle_cancellation", "start", "run_context", "call_flow_fn", "is_running"):
        assert hasattr(AsyncFlowRunEngine, method)
    assert list(inspect.signature(_flow_parameters).parameters) == ["flow", "flow_run", "parameters"]


def test_the_seams_of_the_server_and_the_client_are_there() -> None:
    assert "with_for_update" in inspect.signature(AioSqliteConfiguration.begin_transaction).parameters
    assert list(inspect.signature(PrefectClient.request).parameters)[:5] == [
        "self",
        "method",
        "path",
        "params",
        "path_params",
    ]


def test_prefect_hands_a_run_that_its_poll_found_to_what_the_worker_overrides() -> None:
    assert "self._submit_run," in inspect.getsource(BaseWorker._submit_scheduled_flow_runs)
    theirs = inspect.getsource(BaseWorker._submit_run)
    assert "await self._propose_pending_state(flow_run)" in theirs
    assert "self._release_limit_slot(flow_run.id)" in theirs
    assert "self._submitting_flow_run_ids.remove(flow_run.id)" in theirs
