"""The metrics of a host, without a host."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from stampede.balancer.runtime import ListenerStatistics, Statistics
from stampede.deployments.metrics import (
    balancer_metrics,
    change_metrics,
    instance_metrics,
    metrics_address,
    serve_metrics,
)
from stampede.errors import BadInput
from stampede.places import Places
from stampede.planning.found import FoundHost, FoundInstance
from stampede.tasks.last_changes import LastChange, forget_changes, note_change, read_changes


def text_of(*metrics: Metric) -> list[str]:
    class Given:
        def collect(self) -> tuple[Metric, ...]:
            return metrics

    registry = CollectorRegistry()
    registry.register(Given())
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def instance(slot: int, state: str = "running") -> FoundInstance:
    return FoundInstance.model_validate(
        {
            "id": f"c{slot}",
            "name": f"shop-web-{slot}-abc",
            "host": "h1",
            "stack": "shop",
            "service": "web",
            "slot": slot,
            "revision": 1,
            "spec_hash": "1:abc",
            "state": state,
            "image": "web",
            "restarts": slot,
            "created_at": datetime.now(UTC),
        }
    )


def test_instances_are_counted_by_state_and_health() -> None:
    lines = text_of(
        *instance_metrics(FoundHost(host="h1", instances=(instance(1), instance(2), instance(3, "exited"))))
    )
    assert 'stampede_instances{health="none",service="web",stack="shop",state="running"} 2.0' in lines
    assert 'stampede_instances{health="none",service="web",stack="shop",state="exited"} 1.0' in lines
    assert 'stampede_instance_restarts_total{instance="shop-web-2-abc",service="web",stack="shop"} 2.0' in lines


def test_balancer_counters_have_names_of_their_own_and_are_left_out_when_it_is_away() -> None:
    listener = ListenerStatistics(
        stack="shop",
        service="web",
        bind="*:80",
        sessions=1,
        sessions_total=7,
        bytes_in=10,
        bytes_out=20,
        responses_5xx=3,
        connection_errors=2,
    )
    lines = text_of(*balancer_metrics(Statistics(pid=1, uptime_s=1, connections=1, listeners=(listener,))))
    values = {line.partition("{")[0]: line.rpartition(" ")[2] for line in lines}
    assert values["stampede_balancer_sessions_total"] == "7.0"
    assert values["stampede_balancer_open_sessions"] == "1.0"
    assert values["stampede_balancer_sent_bytes_total"] == "20.0"
    assert text_of(*balancer_metrics(None)) == ["stampede_balancer_up 0.0"]


def test_the_latest_change_of_each_verb_is_kept_over_restarts(places: Places) -> None:
    def change(verb: str, ended: float, *, succeeded: bool = True, stack: str = "shop") -> LastChange:
        return LastChange(stack=stack, verb=verb, ended=ended, succeeded=succeeded, duration_s=2.5)

    assert read_changes(places) == ()
    for one in (
        change("deploy", 1),
        change("scale", 2),
        change("deploy", 3, succeeded=False),
        change("deploy", 4, stack="b"),
    ):
        note_change(places, one)
    lines = text_of(*change_metrics(read_changes(places)))
    assert 'stampede_change_success{stack="shop",verb="deploy"} 0.0' in lines
    assert 'stampede_change_timestamp_seconds{stack="shop",verb="deploy"} 3.0' in lines
    assert 'stampede_change_duration_seconds{stack="shop",verb="scale"} 2.5' in lines
    note_change(places, change("remove", 5))
    forget_changes(places, "shop")
    assert {(c.stack, c.verb) for c in read_changes(places)} == {("b", "deploy"), ("shop", "remove")}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("127.0.0.1", 9464)),
        ("9000", ("127.0.0.1", 9000)),
        (":9000", ("0.0.0.0", 9000)),
        ("[::1]:9000", ("::1", 9000)),
        ("0", None),
        ("127.0.0.1:0", None),
    ],
)
def test_an_address_is_read_as_the_documentation_says(text: str, address: tuple[str, int] | None) -> None:
    assert metrics_address(text) == address


def test_what_is_no_address_is_bad_input() -> None:
    with pytest.raises(BadInput, match="STAMPEDE_METRICS"):
        metrics_address("somewhere")


async def test_a_port_that_is_taken_is_said_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("STAMPEDE_METRICS", f"127.0.0.1:{taken.getsockname()[1]}")
        with caplog.at_level("WARNING", logger="prefect.stampede.metrics"):
            await serve_metrics()
    assert "no metrics" in caplog.text
