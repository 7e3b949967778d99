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
            one_winner=all(_one_winner(below, f"race-{number}") for number in range(_RACES)),
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


def _one_winner(address: S3Address, name: str) -> bool:
    stores, together = [S3Store(address, patience_s=20) for _ in range(_RACERS)], threading.Barrier(_RACERS)

    def put(number: int) -> bool:
        together.wait()
        return stores[number].put_if_absent(name, b"%d" % number)

    with ThreadPoolExecutor(_RACERS) as threads:
        won = list(threads.map(put, range(_RACERS)))
    there = stores[0].get(name)
    for store in stores:
        store.close()
    return won.count(True) == 1 and there == b"%d" % won.index(True)


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
