"""Whether a volume of Docker's own can become a managed one."""

from __future__ import annotations

import pytest

from stampede.errors import BadInput, Foreign, Refused, UnknownName
from stampede.volumes.adoption import PlainVolume, refuse_adoption, the_one

MIB = 1 << 20
PLAIN = PlainVolume(host="h1", is_there=True, used_bytes=100 * MIB, users=("shop-db-1-12",))


def test_the_host_that_has_it_is_found_also_when_it_was_interrupted_or_is_over() -> None:
    nothing = PlainVolume(host="h2")
    half = PlainVolume(host="h1", in_pool=True, begun=True)
    for there in (PLAIN, half, half.model_copy(update={"bound": True})):
        assert the_one("shop/db", "shop_db", [nothing, there]) == there
    with pytest.raises(UnknownName):
        the_one("shop/db", "shop_db", [nothing])
    with pytest.raises(BadInput, match="h1, h3"):
        the_one("shop/db", "shop_db", [PLAIN, PLAIN.model_copy(update={"host": "h3"})])


def test_what_would_lose_or_not_fit_data_is_refused() -> None:
    own = {"shop-db-1-12"}
    refuse_adoption("shop/db", PLAIN, 200 * MIB, own)
    with pytest.raises(Refused, match="too little"):
        refuse_adoption("shop/db", PLAIN, 110 * MIB, own)
    with pytest.raises(Foreign, match="shop-db-1-12"):
        refuse_adoption("shop/db", PLAIN, 200 * MIB, set())
    with pytest.raises(Refused, match="at once"):
        refuse_adoption("shop/db", PLAIN.model_copy(update={"in_pool": True}), 200 * MIB, own)
    refuse_adoption("shop/db", PLAIN.model_copy(update={"in_pool": True, "begun": True}), 200 * MIB, own)
