"""A host lets no change act that has been overtaken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from stampede.errors import Fenced
from stampede.places import Places
from stampede.tasks.fences import check_fence, highest_fence


def test_the_same_or_a_higher_number_passes_and_a_lower_one_is_fenced(places: Places) -> None:
    check_fence(places, "shop", 3)
    check_fence(places, "shop", 3)
    check_fence(places, "shop", 5)
    with pytest.raises(Fenced, match="Change 4 of shop was overtaken by change 5"):
        check_fence(places, "shop", 4)
    assert highest_fence(places, "shop") == 5


def test_stacks_do_not_fence_each_other(places: Places) -> None:
    check_fence(places, "shop", 9)
    check_fence(places, "blog", 1)
    assert highest_fence(places, "none") == 0


def test_checked_at_once_by_many_the_highest_number_stays(places: Places) -> None:
    def check(number: int) -> bool:
        try:
            check_fence(places, "shop", number)
        except Fenced:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(check, range(1, 200)))
    assert passed[-1]
    assert highest_fence(places, "shop") == 199
