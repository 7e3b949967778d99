"""Stores of backups: looked at from a host, met with their repository, and written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime

from prefect import task
from prefect.client.orchestration import get_client

from stampede.backup.catalogue import catalogue, volumes
from stampede.backup.honoured import Honoured
from stampede.backup.names import REPOSITORY, SLOTS
from stampede.backup.repository import Keys, create_repository, open_repository
from stampede.backup.store import ObjectStore
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.probe import probe
from stampede.blocks.stores import StampedeStore, Stores
from stampede.errors import BackupError, Refused, StampedeError, WrongKey
from stampede.frozen import Frozen
from stampede.stores import address_of
from stampede.tasks.backup_jobs import RETRY_STORE
from stampede.tasks.retry import NO_RECORD
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread

_PATIENCE_S = 20.0  # somebody sits and waits for the answer


class Met(Frozen):
    """A repository that was made or opened. `volumes` have backups in it."""

    repository: str
    origin: str
    volumes: int


async def read_store(store: str) -> StampedeStore:
    """Raises: UnknownName."""
    async with get_client() as client:
        return await Stores(client).read(store)


async def known_stores() -> list[str]:
    """Names of all stores that are ready, sorted."""
    async with get_client() as client:
        return await Stores(client).names()


async def store_for_backups(store: str) -> StampedeStore:
    """A store that backups may go to. Raises: UnknownName; Refused until its recovery key was confirmed once."""
    found = await read_store(store)
    if not found.ready:
        raise Refused(f"adding store {store} has not ended", "the same stampede store add again goes on with it")
    if not found.confirmed:
        raise Refused(
            f"nobody has confirmed yet to have the recovery key of store {store}, without which backups are lost",
            f"stampede store key export {store} shows it; keep it elsewhere; then stampede store key confirm {store}",
        )
    return found


@task(task_run_name="probe store {store}", **NO_RECORD)
async def probe_store(store: str) -> Honoured:
    """What the server is seen to honour from this host. Raises: StoreRefused, StoreUnavailable, naming this host."""
    found = await read_store(store)
    try:
        return await in_thread(probe, found.address)
    except StampedeError as error:
        raise type(error)(f"from {this_host().name}: {error.message}", error.hint) from error


@task(task_run_name="meet the repository of store {store}", **NO_RECORD)
async def meet_repository(store: str, honoured: Honoured) -> Met:
    """Afterwards the store's recovery key opens the repository at its address, and the store is ready.

    Raises: Refused if one is to be made and there is another, or the server cannot be used; BackupError if there is
    none to join; WrongKey; StoreRefused, StoreUnavailable.
    """
    found = await read_store(store)
    if not honoured.usable:
        raise Refused(f"{found.address} cannot keep backups: {honoured.follows[0]}", "choose another server")
    if found.lock_days and not honoured.object_lock:
        raise Refused(
            f"{found.address} locks no objects", "make a bucket with object lock, or add the store without --lock-days"
        )
    seen = found.model_copy(update={"honoured": honoured.model_dump()})
    keys, met = await in_thread(_meet, seen)
    fields = {"repository": met.repository, "origin": met.origin, "master_key": keys.master.hex(), "ready": True}
    confirmed = found.confirmed or found.joining != "make"
    async with get_client() as client:
        await Stores(client).update(store, **fields, honoured=honoured.model_dump(), confirmed=confirmed)
    return met


@task(task_run_name="open the repository of store {store}", **NO_RECORD)
async def open_again(store: str, honoured: Honoured) -> Met:
    """Afterwards the store knows what its server honours now, and the repository's own objects are locked for longer.

    Raises: as `meet_repository`, but makes nothing.
    """
    found = await read_store(store)
    met = await in_thread(_open_again, found)
    async with get_client() as client:
        await Stores(client).update(store, honoured=honoured.model_dump())
    return met


@task(task_run_name="open the repository of store {store} by its recovery key alone", **RETRY_STORE)
async def prove_recovery_key(store: str) -> None:
    """Returns when the key that this server keeps, which is the one that people keep, still opens the repository.

    Raises: WrongKey; BackupError when there is none or another; Damaged, StoreRefused, StoreUnavailable.
    """
    await in_thread(_opened_alone, await read_store(store))


@asynccontextmanager
async def forgotten_unless_ready(store: str) -> AsyncIterator[None]:
    """If what is done inside fails, the store is forgotten as if nobody had tried to add it."""
    try:
        yield
    except (Exception, asyncio.CancelledError):
        async with get_client() as client:
            await asyncio.shield(Stores(client).drop(store))
        raise


def _meet(found: StampedeStore) -> tuple[Keys, Met]:
    store = S3Store(found.address, lock=found.lock, patience_s=_PATIENCE_S)
    with closing(store):
        keys = _made_or_opened(store, found)
        origin = found.origin or f"{this_host().cluster}-{found.cluster_id}"
        if found.joining == "take over":
            newest = max(catalogue(store, keys), key=lambda backup: backup.created, default=None)
            origin = newest.origin if newest is not None else origin
        return keys, Met(repository=keys.repository, origin=origin, volumes=len(volumes(store)))


def _made_or_opened(store: ObjectStore, found: StampedeStore) -> Keys:
    key, address = found.recovery_key.get_secret_value(), address_of(found.bucket, found.prefix)
    if found.joining != "make":
        return _opened(store, key, address)
    try:
        return create_repository(store, key, datetime.now(UTC))
    except Refused as there_is_one:
        try:
            return open_repository(store, recovery_key=key)  # an earlier try made it, whose end nobody has seen
        except WrongKey:
            raise Refused(
                f"there is a repository of backups at {address} already",
                "--key-file FILE with its recovery key joins it; or choose another prefix",
            ) from there_is_one


def _opened(store: ObjectStore, key: str, address: str) -> Keys:
    try:
        return open_repository(store, recovery_key=key)
    except WrongKey as error:
        raise WrongKey(
            f"this recovery key does not open the repository at {address}", "each repository has a key of its own"
        ) from error
    except BackupError as error:
        if type(error) is not BackupError:
            raise
        raise BackupError(
            f"there is no repository of backups at {address}",
            "check bucket and prefix; --new makes one with the key of --key-file",
        ) from error


def _opened_alone(found: StampedeStore) -> None:
    with closing(S3Store(found.address, patience_s=_PATIENCE_S)) as store:
        _own(store, found)


def _own(store: ObjectStore, found: StampedeStore) -> Keys:
    """The keys of the store's repository, by its recovery key."""
    keys = _opened(store, found.recovery_key.get_secret_value(), address_of(found.bucket, found.prefix))
    if keys.repository != found.repository:
        raise BackupError(
            f"the repository at {address_of(found.bucket, found.prefix)} is {keys.repository}, not {found.repository}",
            "somebody replaced it; remove the store and add it again",
        )
    return keys


def _open_again(found: StampedeStore) -> Met:
    store = S3Store(found.address, lock=found.lock, patience_s=_PATIENCE_S)
    with closing(store):
        keys = _own(store, found)
        if found.lock:  # backups see to the locks of what they need, but do not read these
            own = [REPOSITORY, *(slot.name for slot in store.list(SLOTS))]
            store.extend_locks(own, found.lock.end(store.clock))
        return Met(repository=keys.repository, origin=found.origin, volumes=len(volumes(store)))
