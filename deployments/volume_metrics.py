"""What `/metrics` tells of the pool of this host, its volumes and their backups; docs/metrics.md lists it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from stampede.tasks.last_backups import LastBackup
from stampede.volumes.models import FoundManagedVolume, PoolStatus


def pool_metrics(status: PoolStatus | None, volumes: Iterable[FoundManagedVolume]) -> Iterator[Metric]:
    """How full the pool is, and its volumes by name; nothing where there is none."""
    if status is None:
        return
    for name, text, value in (
        ("size_bytes", "Bytes that the pool's file system has.", status.size_bytes),
        ("used_bytes", "Bytes that are used of it.", status.used_bytes),
        ("reserved_bytes", "Bytes promised to volumes and their snapshots.", status.reserved_bytes),
        ("room_bytes", "Bytes that may still be promised.", status.room_bytes),
        ("fill_ratio", "Used share of the pool, 0 to 1.", status.fill),
    ):
        yield GaugeMetricFamily(f"stampede_pool_{name}", text, value=float(value))
    known = sorted(volumes, key=lambda volume: volume.name)
    of_volume: tuple[tuple[str, str, Callable[[FoundManagedVolume], float]], ...] = (
        ("size_bytes", "Size of the volume.", lambda volume: volume.size_bytes),
        ("used_bytes", "What its image takes in the pool.", lambda volume: volume.used_bytes),
        ("snapshots", "Snapshots it has.", lambda volume: volume.snapshots),
        ("mounted", "Whether it is mounted and without trouble.", lambda volume: volume.mounted and not volume.trouble),
    )
    for name, text, value_of in of_volume:
        family = GaugeMetricFamily(f"stampede_volume_{name}", text, labels=["stack", "volume"])
        for volume in known:
            family.add_metric((volume.stack, volume.name), float(value_of(volume)))
        yield family


def backup_metrics(backups: Iterable[LastBackup]) -> Iterator[Metric]:
    """When a backup, a verification and a drill of each volume were last good, and what the last good backup stored."""
    known = sorted(backups, key=lambda one: (one.stack, one.volume, one.proof))
    in_words = {"backup": "backup", "verify": "verification", "drill": "restore drill"}
    for proof, words in in_words.items():
        yield from _ends(proof, words, [one for one in known if one.proof == proof])
    yield _optional(
        "stampede_backup_stored_bytes", "Bytes the last good backup added to the store.", known, "stored_bytes"
    )
    yield _optional("stampede_backup_logical_bytes", "Bytes the last good backup holds.", known, "logical_bytes")
    yield _optional("stampede_drill_data_age_seconds", "Age of the data of the last drill.", known, "data_age_s")


def _ends(proof: str, words: str, known: list[LastBackup]) -> Iterator[Metric]:
    labels = ["stack", "volume"]
    good = GaugeMetricFamily(
        f"stampede_{proof}_good_timestamp_seconds", f"When the last good {words} ended.", labels=labels
    )
    success = GaugeMetricFamily(f"stampede_{proof}_success", f"Whether the latest {words} succeeded.", labels=labels)
    duration = GaugeMetricFamily(
        f"stampede_{proof}_duration_seconds", f"How long the latest {words} took.", labels=labels
    )
    for one in known:
        key = (one.stack, one.volume)
        # 0 where none ever was good, so that an alert on its age fires instead of finding nothing to compare.
        good.add_metric(key, one.last_good or 0.0)
        success.add_metric(key, float(one.succeeded))
        duration.add_metric(key, one.duration_s)
    yield from (good, success, duration)


def _optional(name: str, text: str, known: list[LastBackup], field: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["stack", "volume"])
    for one in known:
        if (value := getattr(one, field)) is not None:
            family.add_metric((one.stack, one.volume), float(value))
    return family
