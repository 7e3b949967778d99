"""What an S3 server honours, tried out, and what follows for backups: many take a header and ignore it."""

from __future__ import annotations

import contextlib
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stampede.backup.honoured import Honoured
from stampede.blocks.object_store.s3 import S3Address, S3Store, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RACERS = 8
_RACES = 5


def probe(address: S3Address) -> Honoured:
    """Tries on objects below `probe-…/` of the address, which are gone afterwards.

    Raises: StoreRefused, StoreUnavailable (a server that cannot even put and get).
    """
    below = S3Address.model_validate(
        address.model_dump() | {"prefix": f"{address.prefix}/probe-{secrets.token_hex(6)}", "conditional_put": True}
    )
    store, client = S3Store(below, patience_s=20), s3_client(below)
    try:
        store.size("canary")  # BucketMissing, where a put would make the bucket, as SeaweedFS does for some keys
        store.put("canary", b"sings")
        store.get("canary")
        return Honoured(
            conditional_put=_refuses_second_put(store),
            one_winner=_one_winner(below),
            ranges=_sends_ranges(store),
            md5_checked=_checks_md5(client, below),
            versioning=_has_versioning(client, below.bucket),
            object_lock=_has_object_lock(client, below.bucket),
        )
    finally:
        store.delete([found.name for found in store.list("")])
        store.close()
        client.close()


def _refuses_second_put(store: S3Store) -> bool:
    with contextlib.suppress(ClientError):
        store.put_if_absent("once", b"first")
        return not store.put_if_absent("once", b"second") and store.get("once") == b"first"
    return False


def _one_winner(address: S3Address) -> bool:
    """Whether of eight that put the same object at once exactly one is told that it made it; five objects at once."""
    stores = [S3Store(address, patience_s=20) for _ in range(_RACERS)]
    together = threading.Barrier(_RACERS * _RACES)

    def put(race: int, racer: int) -> bool:
        together.wait()
        return stores[racer].put_if_absent(f"race-{race}", b"%d" % racer)

    try:
        starts = [(race, racer) for race in range(_RACES) for racer in range(_RACERS)]
        with ThreadPoolExecutor(len(starts)) as threads:  # SeaweedFS makes losers wait for a second or two
            made = dict(zip(starts, threads.map(put, *zip(*starts, strict=True)), strict=True))
        won = {race: [racer for racer in range(_RACERS) if made[race, racer]] for race in range(_RACES)}
        return all(
            len(winners) == 1 and stores[0].get(f"race-{race}") == b"%d" % winners[0] for race, winners in won.items()
        )
    finally:
        for store in stores:
            store.close()


def _sends_ranges(store: S3Store) -> bool:
    store.put("range", bytes(range(100)))
    return store.get("range", 10, 10) == bytes(range(10, 20)) and store.get("range", 95, 50) == bytes(range(95, 100))


def _checks_md5(client: S3Client, address: S3Address) -> bool:
    key = f"{address.prefix.strip('/')}/md5"
    try:
        client.put_object(Bucket=address.bucket, Key=key, Body=b"123456789", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    except (ClientError, BotoCoreError):
        return True
    return False


def _has_versioning(client: S3Client, bucket: str) -> bool:
    with contextlib.suppress(ClientError, BotoCoreError):
        return client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    return False


def _has_object_lock(client: S3Client, bucket: str) -> bool:
    with contextlib.suppress(ClientError, BotoCoreError):
        answer = client.get_object_lock_configuration(Bucket=bucket)
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
    return False
