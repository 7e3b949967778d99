"""Jobs on a store that misbehaves: they come to their end, or say what is wrong, and end soon when they are told to."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.backup.verify import VerifyReport
from stampede.blocks.backups import (
    BackupJob,
    Job,
    ListJob,
    PruneJob,
    RepositoryAccess,
    RestoreJob,
    VerifyJob,
    run_job,
)
from stampede.blocks.object_store import S3Store
from stampede.errors import BucketMissing, Cancelled, WrongRegion
from stampede.retention import Retention
from tests.lab.misbehaving import Asked, Behaviour, Proxy, misbehaving
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1 << 20
VOLUME = "shop_db"
PASSING: tuple[Behaviour, ...] = ("busy", "error", "cut", "reset upload", "lose answer")


class Site:
    """An image of 40 MiB and a repository that is reached by a proxy."""

    def __init__(self, server: SeaweedFS, proxy: Proxy, folder: Path) -> None:
        self.folder, self.proxy = folder, proxy
        address = server.address(server.bucket(), endpoint=proxy.endpoint)
        store = S3Store(address)
        keys = create_repository(store, new_recovery_key(), NOW)
        store.close()
        master = SecretStr(keys.master.hex())
        self.access = RepositoryAccess(address=address, repository=keys.repository, master_key=master)
        self.image = folder / "image"
        self.image.write_bytes(os.urandom(40 * MIB))

    def backup(self) -> BackupJob:
        return BackupJob(access=self.access, volume=VOLUME, image=self.image, created=NOW)

    def jobs(self) -> dict[str, Job]:
        """One of each kind."""
        return {
            "backup": self.backup(),
            "restore": RestoreJob(access=self.access, volume=VOLUME, target=self.folder / "restored"),
            "verify": VerifyJob(access=self.access, volume=VOLUME, level="full"),
            "prune": PruneJob(access=self.access, volume=VOLUME, rule=Retention(last=1), grace_s=0),
            "list": ListJob(access=self.access),
        }


@pytest.fixture
def site(seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Site]:
    with misbehaving(seaweedfs.endpoint) as proxy:
        yield Site(seaweedfs, proxy, tmp_path)


def sometimes(seed: int) -> Callable[[Asked], Behaviour]:
    """Every third request or so fails in one way or another."""
    dice = random.Random(seed)
    return lambda asked: dice.choice(PASSING) if dice.random() < 0.3 else "pass"


def test_everything_works_over_a_network_that_fails_every_third_request(site: Site) -> None:
    site.proxy.plan = sometimes(7)
    run_job(site.backup())
    site.image.write_bytes(os.urandom(20 * MIB) + site.image.read_bytes()[20 * MIB :])
    run_job(site.backup())
    jobs = site.jobs()
    for _ in range(2):
        run_job(jobs["prune"])
    found = run_job(jobs["verify"])
    assert isinstance(found, VerifyReport)
    assert (found.bad, found.backups) == ((), (2,))
    run_job(jobs["restore"])
    assert (site.folder / "restored").read_bytes() == site.image.read_bytes()
    assert {behaviour for _, behaviour in site.proxy.seen} == {"pass", *PASSING}


@pytest.mark.parametrize("verb", ["backup", "restore", "verify", "prune", "list"])
def test_a_job_that_waits_for_a_stuck_server_ends_soon_once_it_is_cancelled(site: Site, verb: str) -> None:
    run_job(site.backup())
    site.proxy.plan = lambda asked: "stuck"
    cancelled = threading.Event()
    told = len(site.proxy.seen)

    def cancel() -> None:
        while len(site.proxy.seen) == told:
            time.sleep(0.05)
        cancelled.set()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_job(site.jobs()[verb], cancelled=cancelled)
    cancelling.join()
    assert time.monotonic() - began < 15
    assert not (site.folder / "restored").exists()


@pytest.mark.parametrize("verb", ["backup", "prune", "list"])
def test_a_cancelled_job_asks_for_nothing_more(site: Site, verb: str) -> None:
    run_job(site.backup())
    told, cancelled = len(site.proxy.seen), threading.Event()

    def cancel(asked: Asked) -> Behaviour:
        cancelled.set()
        return "slow"

    site.proxy.plan = cancel
    with pytest.raises(Cancelled):
        run_job(site.jobs()[verb], cancelled=cancelled)
    assert len(site.proxy.seen) - told <= 2


def test_what_does_not_pass_is_said_by_every_job(site: Site) -> None:
    missing = site.access.model_copy(
        update={"address": site.access.address.model_copy(update={"bucket": "no-such-bucket"})}
    )
    for job in site.jobs().values():
        with pytest.raises(BucketMissing, match="no such bucket"):
            run_job(job.model_copy(update={"access": missing}))
    site.proxy.plan = lambda asked: "elsewhere"
    for job in site.jobs().values():
        with pytest.raises(WrongRegion, match="eu-central-1"):
            run_job(job)
