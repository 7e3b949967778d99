"""Requests are signed as botocore signs them, whatever stands in their names."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from stampede.blocks.object_store import S3Address
from stampede.blocks.object_store.signing import path_of, query_of, signed

NOW = datetime(2026, 1, 1, 12, 30, 59, tzinfo=UTC)
HOST = "s3.example.test:8333"


def address(token: str | None = None) -> S3Address:
    return S3Address(
        bucket="b",
        region="eu-north-1",
        access_key="AKIA1",
        secret_key=SecretStr("s/e+cret"),
        session_token=SecretStr(token) if token else None,
    )


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("method", "name", "query", "headers"),
    [
        ("GET", "/b/v/shop_db/p/000000000001-ab", {}, {"Range": "bytes=5-99"}),
        ("PUT", "/b/some prefix/v/a~20b+c=d/ä&ö/..x", {}, {"If-None-Match": "*", "Content-Length": "12"}),
        ("GET", "/b", {"list-type": "2", "prefix": "v/a b/+~&=/ü", "start-after": "x/y", "delimiter": "/"}, {}),
        ("POST", "/b", {"delete": ""}, {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    ],
)
def test_signatures_are_those_of_botocore(
    method: str, name: str, query: dict[str, str], headers: dict[str, str], token: str | None
) -> None:
    path, asked = path_of(name), query_of(query)
    ours = signed(address(token), method, path, asked, {"Host": HOST, **headers}, NOW)
    request = AWSRequest(
        method, f"https://{HOST}{path}{'?' + asked if asked else ''}", headers={"Host": HOST, **headers}
    )
    signer = S3SigV4Auth(Credentials("AKIA1", "s/e+cret", token), "s3", "eu-north-1")
    with (
        patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)),
        patch.object(signer, "_should_sha256_sign_payload", lambda *_: False),
    ):
        signer.add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"]
