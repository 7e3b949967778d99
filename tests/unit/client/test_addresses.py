"""Addresses of servers, as people mistype them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stampede.client import Client
from stampede.client.api import PrefectApi, split_auth
from stampede.errors import BadInput, StampedeError, UnknownName

WORDS = st.sampled_from(
    [
        "http://",
        "https://",
        "ssh://",
        "h",
        "::1",
        "[",
        "]",
        ":",
        "@",
        "/",
        "?",
        "#",
        "%",
        "\n",
        "\udcff",
        "xn--",
        "99999",
    ]
)
ADDRESSES = st.one_of(st.text(), st.text().map("http://".__add__), st.lists(WORDS, max_size=8).map("".join))


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "h1",
        "ftp://h1",
        "http://",
        "http://h:abc",
        "http://h:99999",
        "http://[::1",
        "http://h\x00",
        "http://ü..de",
    ],
)
def test_what_is_no_address_is_bad_input_that_says_what_one_looks_like(address: str) -> None:
    with pytest.raises(BadInput, match="is no address of a server") as refused:
        Client(address)
    assert "https://" in refused.value.hint


def test_a_mistyped_address_does_not_print_the_password_in_it() -> None:
    with pytest.raises(BadInput) as refused:
        split_auth("http://stampede:s3cr3t@h:abc")
    assert "s3cr3t" not in str(refused.value)


@given(ADDRESSES)
@example("http://h:abc")
@example("http://[::1")
@example("http://\udcff@h")
def test_no_address_makes_anything_but_a_client_or_an_error_for_people(address: str) -> None:
    with suppress(StampedeError):
        PrefectApi(address).close()


def test_an_id_that_no_address_can_hold_names_no_run(client: Client) -> None:
    with pytest.raises(UnknownName):
        client.read_run("a\nb")
