"""What /metrics tells of pools, volumes and backups, without a host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from stampede.blocks.volumes import ImagePool
from stampede.deployments.metrics import HostCollector
from stampede.deployments.volume_metrics import backup_metrics, pool_metrics
from stampede.places import Places
from stampede.tasks.last_backups import forget_backups, note_backup, read_backups
from stampede.tasks.this_host import ThisHost, instead_of_this_host
from stampede.volumes.room import MIB
from tests.fakes.docker import FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy
from tests.fakes.volumes import FakeVolumePool
from tests.lab.pools import wanted
from tests.unit.operations.test_metrics import text_of


@pytest.fixture
def host(places: Places) -> Iterator[ThisHost]:
    """A host whose own pool nobody has made yet."""
    host = ThisHost(
        name="h1",
        cluster="lab",
        places=places,
        docker=FakeDockerHost(),
        haproxy=FakeHAProxy(),
        pool=ImagePool(places, "h1"),
    )
    with instead_of_this_host(host):
        yield host


def values(*metrics: Metric) -> dict[str, float]:
    """Each sample by its name and labels."""
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text_of(*metrics))}


def test_a_pool_tells_how_full_it_is_and_what_each_volume_has(tmp_path: Path) -> None:
    pool = FakeVolumePool(tmp_path)
    pool.ensure_volume(wanted("shop_uploads", mib=32))
    pool.snapshot(["shop_uploads"])
    pool.used_bytes = 100 * MIB
    said = values(*pool_metrics(pool.status(), pool.volumes()))
    of_volume = '{stack="shop",volume="shop_uploads"}'
    assert said["stampede_pool_fill_ratio"] == 0.25
    assert said["stampede_pool_size_bytes"] == 400 * MIB
    assert said[f"stampede_volume_size_bytes{of_volume}"] == 32 * MIB
    assert said[f"stampede_volume_snapshots{of_volume}"] == said[f"stampede_volume_mounted{of_volume}"] == 1


def test_a_host_without_a_pool_tells_nothing_of_one_and_gets_none(host: ThisHost) -> None:
    assert text_of(*pool_metrics(None, ())) == []
    text = "".join(text_of(*HostCollector().collect()))
    assert "stampede_docker_up" in text
    assert "stampede_pool" not in text
    assert not host.places.pool.exists()
    assert not host.places.pool_file.exists()


def test_a_failed_backup_leaves_when_one_was_last_good(places: Places) -> None:
    note_backup(places, "shop", "uploads", ended=100, succeeded=True, duration_s=2, stored_bytes=7, logical_bytes=70)
    note_backup(places, "shop", "uploads", ended=200, succeeded=False)
    note_backup(places, "shop", "uploads", proof="drill", ended=150, succeeded=True, data_age_s=50)
    note_backup(places, "shop", "db", ended=200, succeeded=False)
    said = values(*backup_metrics(read_backups(places)))
    of_uploads = '{stack="shop",volume="uploads"}'
    assert said[f"stampede_backup_good_timestamp_seconds{of_uploads}"] == 100
    assert said[f"stampede_backup_success{of_uploads}"] == 0
    assert said[f"stampede_backup_stored_bytes{of_uploads}"] == 7
    assert said[f"stampede_backup_logical_bytes{of_uploads}"] == 70
    assert said[f"stampede_drill_good_timestamp_seconds{of_uploads}"] == 150
    assert said[f"stampede_drill_data_age_seconds{of_uploads}"] == 50
    assert said['stampede_backup_good_timestamp_seconds{stack="shop",volume="db"}'] == 0


def test_what_nobody_backs_up_any_more_is_forgotten(places: Places) -> None:
    for stack, volume in (("shop", "uploads"), ("shop", "db"), ("blog", "uploads")):
        note_backup(places, stack, volume, ended=1, succeeded=True)
    forget_backups(places, "shop", "db")
    assert {(one.stack, one.volume) for one in read_backups(places)} == {("shop", "uploads"), ("blog", "uploads")}
    forget_backups(places, "shop")
    assert [one.stack for one in read_backups(places)] == ["blog"]
