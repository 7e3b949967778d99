"""What an S3 server or the network says no with, as one of our errors, with what to do about it."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    SSLError,
)

from stampede.errors import (
    BucketMissing,
    ClockSkew,
    DaemonError,
    StoreRefused,
    StoreUnavailable,
    WrongCredentials,
    WrongRegion,
)

_NETWORK = (ConnectionError, HTTPClientError, IncompleteReadError)
_CREDENTIALS = {
    "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccountProblem",
}  # fmt: skip
_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "Throttling"}


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def passes(error: Exception) -> bool:
    """Whether the same request may well succeed in a while."""
    if isinstance(error, ClientError):
        status = status_of(error)
        return status in (409, 429) or (status >= 500 and status != 501) or code_of(error) in _BUSY
    return isinstance(error, _NETWORK) and not isinstance(error, SSLError)


def as_ours(error: ClientError | BotoCoreError, store: str, tried_s: float = 0.0) -> DaemonError:
    """`store` names endpoint and bucket; `tried_s` says for how long it was tried."""
    if not isinstance(error, ClientError):
        return _of_the_network(error, store, tried_s)
    code, status = code_of(error), status_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")) or code
    if code == "RequestTimeTooSkewed":
        return ClockSkew(f"{store} finds this host's clock wrong: {said}", "let NTP set it: timedatectl")
    if code in _REGION or status == 301:
        where = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
        return WrongRegion(
            f"{store} is in another region: {said}", f"use region {where}" if where else "set its region"
        )
    if code == "NoSuchBucket":
        return BucketMissing(f"{store}: there is no such bucket", "make it, or mend its name")
    if code in _CREDENTIALS or status in (401, 403):
        hint = "check the access key, its secret, and that it may get, put, list and delete in this bucket"
        return WrongCredentials(f"{store} refuses this access key: {said}", hint)
    if passes(error):
        return StoreUnavailable(f"{store} answered {status} for {tried_s:.0f} s: {said}", "see the server's own log")
    return StoreRefused(f"{store} refused with {status} {code}: {said}")


def _of_the_network(error: BotoCoreError, store: str, tried_s: float) -> DaemonError:
    if isinstance(error, NoCredentialsError):
        return WrongCredentials(f"{store}: no access key was given", "give one with the store")
    if isinstance(error, SSLError):
        return StoreRefused(f"{store}: its certificate is not trusted: {error}", "give its CA with the store")
    if isinstance(error, _NETWORK):
        hint = "check its address, and that it is reachable from this host"
        return StoreUnavailable(f"{store} did not answer for {tried_s:.0f} s: {error}", hint)
    return StoreRefused(f"{store}: {error}")
