"""When a container counts as healthy."""

from __future__ import annotations

from itertools import islice

from stampede.containers.health import Probe, deadline_s, may_give_up, pauses_s, probe_of


def test_docker_s_defaults_fill_in_what_is_not_said() -> None:
    probe = probe_of({"Test": ["CMD-SHELL", "curl localhost"], "Interval": 2_000_000_000})
    assert probe == Probe(argv=("/bin/sh", "-c", "curl localhost"), interval_s=2.0)


def test_no_test_and_none_are_no_probe() -> None:
    assert probe_of({}) is None
    assert probe_of({"Test": ["NONE"]}) is None
    assert probe_of({"Test": []}) is None


def test_the_start_interval_of_the_file_counts_on_old_daemons() -> None:
    probe = probe_of({"Test": ["CMD", "ok"]}, 0.5)
    assert probe is not None
    assert list(islice(pauses_s(probe), 6))[-1] == 0.5


def test_pauses_grow_to_two_seconds_and_never_exceed_the_interval() -> None:
    assert list(islice(pauses_s(None), 12))[-1] == 2.0
    assert max(islice(pauses_s(Probe(argv=("ok",), interval_s=0.05)), 12)) == 0.05


def test_we_are_never_stricter_than_docker() -> None:
    probe = Probe(argv=("ok",), interval_s=10, start_period_s=5, retries=3)
    assert not may_give_up(probe, 34.9, 50)
    assert may_give_up(probe, 35.0, 3)
    assert not may_give_up(probe, 99.0, 2)


def test_every_wait_has_a_deadline() -> None:
    assert deadline_s(None, 5) == 35
    assert deadline_s(Probe(argv=("ok",), interval_s=10, timeout_s=2, start_period_s=5, retries=3), 5) == 46
