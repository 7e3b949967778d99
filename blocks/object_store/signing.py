"""AWS Signature Version 4 of requests to S3. The payload is not signed: what is stored is sealed anyway.

Hashing every body twice costs ten times what sending it does. Source: the S3 API reference, "Authenticating requests:
using the authorization header". A test holds this against botocore's own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from stampede.blocks.object_store.address import S3Address

_UNSIGNED = "UNSIGNED-PAYLOAD"
_SAFE = "-_.~"


def path_of(name: str) -> str:
    """A path as it is sent and signed."""
    return quote(name, safe=f"/{_SAFE}")


def query_of(values: Mapping[str, str]) -> str:
    """A query as it is sent and signed."""
    pairs = sorted((quote(name, safe=_SAFE), quote(value, safe=_SAFE)) for name, value in values.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    address: S3Address, method: str, path: str, query: str, headers: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """The headers with those that log in. `path` and `query` are as they are sent; `headers` have the host; UTC."""
    second = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{second[:8]}/{address.region}/s3/aws4_request"
    known = {name.lower(): value for name, value in headers.items()}
    known |= {"x-amz-content-sha256": _UNSIGNED, "x-amz-date": second}
    if address.session_token is not None:
        known["x-amz-security-token"] = address.session_token.get_secret_value()
    names = ";".join(sorted(known))
    lines = "".join(f"{name}:{known[name].strip()}\n" for name in sorted(known))
    canonical = "\n".join((method, path, query, lines, names, _UNSIGNED))
    told = "\n".join(("AWS4-HMAC-SHA256", second, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{address.secret_key.get_secret_value()}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    login = f"AWS4-HMAC-SHA256 Credential={address.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return known | {"authorization": login}
