"""Requests of the client have the parameters of the flows that they start, and no others."""

from __future__ import annotations

from dataclasses import fields

import pytest

from stampede.client import backup_requests, requests, volume_requests
from stampede.client.requests import Request
from stampede.flows import VERBS

REQUESTS = {
    each.flow: each
    for each in (*vars(requests).values(), *vars(volume_requests).values(), *vars(backup_requests).values())
    if isinstance(each, type) and issubclass(each, Request) and "flow" in vars(each)
}


@pytest.mark.parametrize("flow", VERBS, ids=lambda flow: str(flow.name))
def test_a_request_has_the_parameters_of_its_flow(flow: object) -> None:
    name, parameters = getattr(flow, "name"), getattr(flow, "parameters")  # noqa: B009
    assert {each.name for each in fields(REQUESTS[name])} == set(parameters.properties)
