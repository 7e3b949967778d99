"""Names and addresses of stores."""

from __future__ import annotations

import pytest

from stampede.errors import BadInput
from stampede.stores import address_of, bucket_and_prefix, check_endpoint, check_store_name


@pytest.mark.parametrize(
    ("address", "bucket", "prefix"),
    [
        ("s3://backups", "backups", ""),
        ("s3://backups/", "backups", ""),
        ("s3://backups/shop/2026/", "backups", "shop/2026"),
        ("s3://a.b-c/x_y=z@1+2", "a.b-c", "x_y=z@1+2"),
    ],
)
def test_an_address_names_bucket_and_prefix(address: str, bucket: str, prefix: str) -> None:
    assert bucket_and_prefix(address) == (bucket, prefix)
    assert address_of(bucket, prefix) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    ["", "backups", "https://backups/x", "s3:/backups", "s3://", "s3://Big", "s3://ab", "s3://ok/a//b", "s3://ok/../x",
     "s3://ok/.hidden", "s3://ok/a b", "s3://ok/ä", f"s3://ok/{'x' * 201}", "s3://key:secret@ok/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInput):
        bucket_and_prefix(address)


@pytest.mark.parametrize("name", ["offsite", "a", "a-1-b", "2nd"])
def test_a_name_is_plain(name: str) -> None:
    assert check_store_name(name) == name


@pytest.mark.parametrize("name", ["", "Offsite", "a_b", "-a", "a-", "a--b", "a/b", "x" * 61])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_store_name(name)


def test_an_endpoint_is_an_address_of_a_server() -> None:
    assert check_endpoint("http://127.0.0.1:8333/") == "http://127.0.0.1:8333"
    assert check_endpoint("https://s3.example.com") == "https://s3.example.com"


@pytest.mark.parametrize(
    "endpoint", ["s3.example.com", "ftp://x", "http://", "http://x/path", "http://x:no", "https://x?y=1", "http://[::1"]
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(BadInput):
        check_endpoint(endpoint)


def test_a_password_in_an_endpoint_is_not_repeated() -> None:
    with pytest.raises(BadInput) as refused:
        check_endpoint("http://user:hunter2@s3.example.com")
    assert "hunter2" not in str(refused.value)
