"""Where a stack stands, and which revision it goes back to."""

from __future__ import annotations

from stampede.documents import REMEMBERED_SERVED, Head


def after(*numbers: int) -> Head:
    head = Head()
    for number in numbers:
        latest = max(head.latest, number)
        head = head.model_copy(update={"latest": latest, "wanted": number}).now_serving(number)
    return head


def test_the_one_before_is_the_last_that_served() -> None:
    assert after(1, 2, 3).before == 2


def test_a_revision_that_failed_is_not_gone_back_to() -> None:
    failed = after(1, 2).model_copy(update={"latest": 3, "wanted": 3})
    assert failed.now_serving(2).model_copy(update={"latest": 4, "wanted": 4}).now_serving(4).before == 2


def test_rolling_back_twice_goes_back_twice() -> None:
    assert after(1, 2, 3, 2).before == 1


def test_a_stack_that_was_removed_comes_back_as_it_served_last() -> None:
    assert after(1, 2).now_serving(0).before == 2


def test_the_first_revision_has_none_before() -> None:
    assert after(1).before == 0


def test_few_are_remembered() -> None:
    assert len(after(*range(1, 100)).served) == REMEMBERED_SERVED
