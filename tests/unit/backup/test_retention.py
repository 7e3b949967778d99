"""What is kept: examples that people think in, and properties that hold for every history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stampede.retention import Decision, Item, Retention, decide

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def every(step: timedelta, count: int) -> list[Item]:
    return [Item(str(number), START + number * step) for number in range(count)]


def kept(decisions: list[Decision]) -> list[str]:
    return [decision.item.id for decision in decisions if decision.keep]


def test_a_week_of_days_of_hourly_ones_is_the_newest_of_each_day() -> None:
    decisions = decide(every(timedelta(hours=1), 24 * 10), Retention(daily=7))
    assert kept(decisions) == ["239", "227", "203", "179", "155", "131", "107"]


def test_reasons_say_which_rule_keeps_an_item_and_which_is_missing() -> None:
    decisions = decide(every(timedelta(hours=1), 3), Retention(last=1, daily=1))
    assert decisions[0].reasons == ("last 1 of 1", "daily 1 of 1")
    assert decisions[1].reasons == ("no rule keeps it",)


def test_days_without_any_do_not_use_up_the_count() -> None:
    assert kept(decide(every(timedelta(days=10), 4), Retention(daily=3))) == ["3", "2", "1"]


def test_weeks_are_those_of_iso_8601_over_the_turn_of_the_year() -> None:
    items = [Item("sunday", datetime(2026, 12, 27, tzinfo=UTC)), Item("monday", datetime(2026, 12, 28, tzinfo=UTC))]
    items.append(Item("new year", datetime(2027, 1, 1, tzinfo=UTC)))
    assert kept(decide(items, Retention(weekly=5))) == ["new year", "sunday"]


def test_pinned_ones_stay_and_use_up_nothing() -> None:
    items = every(timedelta(hours=1), 5)
    items[0] = items[0]._replace(pinned=True)
    assert kept(decide(items, Retention(last=2))) == ["4", "3", "0"]


def test_of_one_moment_the_one_with_the_higher_number_is_newer() -> None:
    items = [Item(number, START) for number in ("9", "72", "10")]
    assert [each.item.id for each in decide(items, Retention(last=1))] == ["72", "10", "9"]


def test_no_rule_keeps_everything() -> None:
    assert len(kept(decide(every(timedelta(days=1), 50), Retention()))) == 50


histories = st.lists(st.integers(0, 3 * 366 * 24 * 60), max_size=60, unique=True).map(
    lambda minutes: [Item(str(minute), START + timedelta(minutes=minute), minute % 17 == 0) for minute in minutes]
)
counts = st.integers(0, 5)
rules = st.builds(Retention, last=counts, hourly=counts, daily=counts, weekly=counts, monthly=counts, yearly=counts)


@given(histories, rules)
def test_the_newest_and_all_pinned_ones_are_kept(items: list[Item], rule: Retention) -> None:
    decisions = decide(items, rule)
    assert len(decisions) == len(items)
    assert all(decision.keep for decision in decisions[:1])
    assert all(decision.keep for decision in decisions if decision.item.pinned)
    assert all(decision.reasons for decision in decisions)


@given(histories, rules)
def test_pruning_what_was_pruned_removes_nothing_more(items: list[Item], rule: Retention) -> None:
    survivors = [decision.item for decision in decide(items, rule) if decision.keep]
    assert kept(decide(survivors, rule)) == kept(decide(items, rule))


@given(histories, rules, st.sampled_from(["last", "hourly", "daily", "weekly", "monthly", "yearly"]))
def test_a_larger_count_never_keeps_less(items: list[Item], rule: Retention, name: str) -> None:
    more = rule.model_copy(update={name: getattr(rule, name) + 1})
    if rule != Retention():
        assert set(kept(decide(items, rule))) <= set(kept(decide(items, more)))


@given(histories, rules)
def test_at_most_as_many_are_kept_as_the_counts_add_up_to(items: list[Item], rule: Retention) -> None:
    if rule != Retention():
        pinned = sum(1 for item in items if item.pinned)
        assert len(kept(decide(items, rule))) <= max(sum(rule.model_dump().values()), 1) + pinned
