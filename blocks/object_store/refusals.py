"""What an S3 server or the network says no with, as one of our errors, with what to do about it."""

from __future__ import annotations

import ssl
from xml.etree import ElementTree

from urllib3.exceptions import HTTPError, SSLError

from stampede.blocks.object_store.wire import Answer
from stampede.errors import (
    BucketMissing,
    ClockSkew,
    DaemonError,
    StoreRefused,
    StoreUnavailable,
    WrongCredentials,
    WrongRegion,
)

_CREDENTIALS = {
    "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccountProblem",
}  # fmt: skip
_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "Throttling"}


class Refusal(Exception):
    """A server's answer that is no success, or one of several in it. HEAD has no body, and so no code."""

    def __init__(self, status: int, code: str = "", message: str = "", region: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.said, self.region = status, code, message or code, region


def refusal(answer: Answer) -> Refusal:
    """Why the server refused, as far as it says so."""
    region = answer.headers.get("x-amz-bucket-region", "")
    try:
        found = ElementTree.fromstring(answer.body)  # noqa: S314 - expat limits what entities may expand to
    except ElementTree.ParseError:
        return Refusal(answer.status, region=region)
    said = {part.tag.rpartition("}")[2]: part.text or "" for part in found}
    return Refusal(answer.status, said.get("Code", ""), said.get("Message", ""), region)


def passes(error: Exception) -> bool:
    """Whether the same request may well succeed in a while."""
    if isinstance(error, Refusal):
        status = error.status
        return status in (409, 429) or (status >= 500 and status != 501) or error.code in _BUSY
    return not _is_untrusted(error)


def as_ours(error: Refusal | HTTPError, store: str, tried_s: float = 0.0) -> DaemonError:
    """`store` names endpoint and bucket; `tried_s` says for how long it was tried."""
    if not isinstance(error, Refusal):
        return _of_the_network(error, store, tried_s)
    if error.code == "RequestTimeTooSkewed":
        return ClockSkew(f"{store} finds this host's clock wrong: {error.said}", "let NTP set it: timedatectl")
    if error.code in _REGION or error.status == 301:
        hint = f"use region {error.region}" if error.region else "set its region"
        return WrongRegion(f"{store} is in another region: {error.said}", hint)
    if error.code == "NoSuchBucket":
        return BucketMissing(f"{store}: there is no such bucket", "make it, or mend its name")
    if error.code in _CREDENTIALS or error.status in (401, 403):
        hint = "check the access key, its secret, and that it may get, put, list and delete in this bucket"
        return WrongCredentials(f"{store} refuses this access key: {error.said}", hint)
    if passes(error):
        return StoreUnavailable(
            f"{store} answered {error.status} for {tried_s:.0f} s: {error.said}", "see the server's own log"
        )
    return StoreRefused(f"{store} refused with {error.status} {error.code}: {error.said}")


def _of_the_network(error: HTTPError, store: str, tried_s: float) -> DaemonError:
    if _is_untrusted(error):
        return StoreRefused(f"{store}: its certificate is not trusted: {error}", "give its CA with the store")
    hint = "check its address, and that it is reachable from this host"
    return StoreUnavailable(f"{store} did not answer for {tried_s:.0f} s: {error}", hint)


def _is_untrusted(error: Exception) -> bool:
    return isinstance(error, SSLError) and any(isinstance(why, ssl.SSLCertVerificationError) for why in error.args)
