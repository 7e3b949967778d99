"""Stores: where backups go. What names and addresses look like, and what everyone may know of a store."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from stampede.backup.honoured import Honoured
from stampede.errors import BadInput
from stampede.frozen import Frozen

DEFAULT_REGION = "us-east-1"
_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 60
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile("[A-Za-z0-9_=@+-][A-Za-z0-9._=@+-]*(/[A-Za-z0-9_=@+-][A-Za-z0-9._=@+-]*)*")
_LONGEST_PREFIX = 200

Joining = Literal["make", "join", "take over"]
"""How a store meets the repository at its address.

make        there is none yet: one is made
join        it is opened with its recovery key, and this cluster backs up beside those that do so already
take over   the same, and this cluster goes on with the backups of the one that made the newest of them
"""


LockMode = Literal["governance", "compliance"]


class StoreView(Frozen):
    """A store, without what is secret. Not `ready`: adding it has not ended. `repository` and `origin` come with that.

    `origin` is what this cluster is called in the backups that it makes there.
    """

    name: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    created: datetime
    by: str
    ready: bool
    confirmed: bool
    lock_days: int
    lock_mode: LockMode
    repository: str
    origin: str
    honoured: Honoured | None

    @property
    def address(self) -> str:
        return address_of(self.bucket, self.prefix)


class StoreReport(Frozen):
    """What was found when all hosts looked at a store. `volumes` have backups there, of whichever cluster."""

    store: str
    address: str
    repository: str
    origin: str
    hosts: tuple[str, ...]
    honoured: Honoured
    volumes: int


def address_of(bucket: str, prefix: str) -> str:
    """As people write it."""
    return f"s3://{bucket}/{prefix}".rstrip("/")


def check_store_name(name: str) -> str:
    """The name itself. Raises: BadInput."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise BadInput(
            f"{name!r} cannot be the name of a store",
            f"up to {_LONGEST_NAME} lower-case letters, digits and single dashes between them, such as offsite",
        )
    return name


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """What `s3://bucket/prefix` names; the prefix may be empty. Raises: BadInput."""
    scheme, found, rest = address.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme != "s3" or not found:
        raise BadInput(f"{address!r} is no address of a store", "such as s3://bucket/prefix")
    if not _BUCKET.fullmatch(bucket):
        raise BadInput(
            f"{bucket!r} cannot be the name of a bucket", "3 to 63 lower-case letters, digits, dots and dashes"
        )
    if prefix and (not _PREFIX.fullmatch(prefix) or len(prefix) > _LONGEST_PREFIX):
        raise BadInput(
            f"{prefix!r} cannot be the prefix of a store",
            f"up to {_LONGEST_PREFIX} letters, digits and _ . = @ + - in folders, such as backups/shop",
        )
    return bucket, prefix


def check_endpoint(endpoint: str) -> str:
    """The endpoint without what it may end in. Raises: BadInput."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port  # which are looked at only when they are asked for
    except ValueError:
        host = None
        parts = urlsplit("")
    if not host or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        # Not shown whole: what stands before an @ may be a password.
        raise BadInput(
            f"{endpoint.rpartition('@')[2]!r} is no endpoint of an object store", "such as https://s3.example.com:9000"
        )
    return endpoint.rstrip("/")
