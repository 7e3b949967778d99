"""Results and errors survive their way through the API."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede import results
from stampede.errors import Cancelled, StackLocked, StampedeError
from stampede.frozen import Frozen


class Sample(Frozen):
    name: str
    ports: tuple[int, ...]


def test_a_model_comes_back_as_plain_json_that_validates() -> None:
    sample = Sample(name="web", ports=(80, 443))
    assert Sample.model_validate(results.decode(results.encode(sample))) == sample


@given(st.text(), st.text())
def test_an_error_of_ours_keeps_class_message_and_hint(message: str, hint: str) -> None:
    back = results.decode(results.encode(StackLocked(message, hint)))
    assert type(back) is StackLocked
    assert (back.message, back.hint) == (message, hint)


def test_an_unknown_class_is_never_imported_but_named_in_the_message() -> None:
    back = results.rebuilt_error("os.system", "boom", "")
    assert type(back) is StampedeError
    assert back.message == "os.system: boom"


def test_a_result_that_is_too_large_is_refused_with_a_hint() -> None:
    with pytest.raises(results.ResultTooLarge, match="reference"):
        results.artifact_body("key", b"x" * (results.MAX_BYTES + 1), None)


def _answering(found: list[dict[str, object]]) -> httpx.Client:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=found))
    return httpx.Client(base_url="http://api", transport=transport)


def test_a_completed_run_gives_its_value() -> None:
    stored = results.artifact_body("k", results.encode({"a": 1}), "r")
    run = {"id": "r", "name": "run", "state": {"type": "COMPLETED", "data": {"storage_key": "k"}}}
    assert results.read_result(_answering([stored]), run) == {"a": 1}


def test_a_failed_run_raises_what_ended_it() -> None:
    stored = results.artifact_body("k", results.encode(StackLocked("busy", "wait")), "r")
    run = {"id": "r", "name": "run", "state": {"type": "FAILED", "data": {"storage_key": "k"}}}
    with pytest.raises(StackLocked, match="busy"):
        results.read_result(_answering([stored]), run)


def test_a_cancelled_run_raises_cancelled_and_a_lost_result_says_so() -> None:
    with pytest.raises(Cancelled, match="run was cancelled: by hand"):
        results.read_result(
            _answering([]), {"id": "r", "name": "run", "state": {"type": "CANCELLED", "message": "by hand"}}
        )
    run = {"id": "r", "name": "run", "state": {"type": "COMPLETED", "data": {"storage_key": "k"}}}
    with pytest.raises(results.ResultMissing):
        results.read_result(_answering([]), run)
