"""A pool that fills up under its writers, watched by the worker of a real installation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker as sdk
import httpx
import pytest
from docker.models.containers import Container

from stampede.blocks.volumes import ImagePool
from stampede.planning.identity import CLUSTER
from stampede.volumes.labels import KEEP
from stampede.volumes.models import Snapshot
from stampede.volumes.room import MIB
from tests.functional.operations.conftest import Site, until
from tests.lab.images import ensure_busybox
from tests.lab.pools import SETTINGS, clean_up, wanted

pytestmark = pytest.mark.functional


@pytest.fixture
def pool(fresh_site: Site) -> Iterator[ImagePool]:
    """A pool of 400 MiB on the installation's host."""
    try:
        yield ImagePool(fresh_site.places, "h1", SETTINGS["xfs"])
    finally:
        fresh_site.stop(everything=True)
        clean_up(fresh_site.places)


@pytest.fixture
def writer(pool: ImagePool, docker_client: sdk.DockerClient, cluster: str) -> Iterator[Container]:
    """A container that has a managed volume of the pool."""
    found = pool.ensure_volume(wanted(f"{cluster}_data", stack=cluster, mib=192))
    options = {"type": "none", "o": "bind", "device": found.data}
    docker_client.volumes.create(found.name, driver="local", driver_opts=options, labels={CLUSTER: cluster})
    container = docker_client.containers.run(
        ensure_busybox(docker_client),
        ["sleep", "3600"],
        init=True,
        detach=True,
        labels={CLUSTER: cluster},
        volumes={found.name: {"bind": "/data"}},
    )
    yield container
    container.remove(force=True)


def events(site: Site, host: str = "h1") -> list[dict[str, Any]]:
    """What the host's pool has told, oldest first."""
    with site.http() as api:
        asked = {"filter": {"resource": {"id": [f"stampede.host.{host}"]}, "order": "ASC"}}
        found: list[dict[str, Any]] = api.post("/events/filter", json=asked).raise_for_status().json()["events"]
    return found


def fill_up(pool: ImagePool, volume: str) -> list[Snapshot]:
    """Afterwards the pool is above its hard watermark, by snapshots (returned) that no watch may drop."""
    [file] = [Path(one.data) / "file" for one in pool.volumes() if one.name == volume]
    file.touch()
    kept: list[Snapshot] = []
    while pool.pressure() != "hard":
        assert len(kept) < 6
        with file.open("r+b") as held:
            for _ in range(32):  # each pass overwrites what the snapshots share with the volume
                if pool.pressure() != "hard":
                    held.write(os.urandom(4 * MIB))
                    held.flush()
                    os.fsync(held.fileno())
        kept += pool.snapshot([volume], labels={KEEP: "a test"}) if pool.pressure() != "hard" else ()
    return kept


def state(container: Container) -> str:
    container.reload()
    return str(container.status)


def test_the_worker_pauses_writers_of_a_full_pool_and_lets_them_go_on(
    fresh_site: Site, pool: ImagePool, writer: Container
) -> None:
    volume = pool.volumes()[0]
    kept = fill_up(pool, volume.name)
    until(lambda: state(writer) == "paused", "the writer is paused")
    metrics = httpx.get(f"http://127.0.0.1:{fresh_site.metrics_port}/metrics").text
    assert f'stampede_volume_mounted{{stack="{volume.stack}",volume="{volume.name}"}} 1.0' in metrics
    assert "stampede_pool_fill_ratio 0.9" in metrics
    for snapshot in kept:
        pool.remove_snapshot(volume.name, snapshot.id)
    until(lambda: state(writer) == "running", "the writer goes on")
    until(lambda: [e["event"] for e in events(fresh_site)][-1:] == ["stampede.pool.relieved"], "it is told")
    told = events(fresh_site)
    assert any(event["event"] == "stampede.pool.full" and event["payload"]["paused"] == [writer.name] for event in told)
    assert told[-1]["payload"]["resumed"] == [writer.name]


def test_a_host_without_a_pool_is_watched_without_getting_one(site: Site) -> None:
    assert "stampede_pool" not in httpx.get(f"http://127.0.0.1:{site.metrics_port}/metrics").text
    assert not site.places.pool.exists()
    assert not site.places.pool_file.exists()
    assert "stampede.pool" not in (site.places.logs / "worker.log").read_text()
