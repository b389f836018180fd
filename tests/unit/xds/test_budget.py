"""An account that opens streams without end stops at its budget, and nobody else does."""

from __future__ import annotations

import pytest

from support.fake_time import Clock
from towpath.xds.budget import SHARE, OpeningBudget
from towpath.xds.limits import LimitExceeded


def _spend(budget: OpeningBudget, clock: Clock, account: str, seconds: float) -> None:
    budget.check(account)
    with budget.spending(account):
        clock.now += seconds


def test_who_has_spent_all_is_refused_and_others_are_not() -> None:
    clock = Clock()
    budget = OpeningBudget(10.0, clock)
    for _ in range(10):
        _spend(budget, clock, "greedy", 2.0)
        if clock.now > 1011:
            break

    with pytest.raises(LimitExceeded, match="the streams that greedy has opened of late") as error:
        budget.check("greedy")
    assert "opening-budget" == error.value.limit
    budget.check("another")


def test_time_gives_a_share_back_and_never_more_than_there_was() -> None:
    clock = Clock()
    budget = OpeningBudget(10.0, clock)
    _spend(budget, clock, "greedy", 20.0)
    clock.now += 8.0 / SHARE
    with pytest.raises(LimitExceeded):
        budget.check("greedy")
    clock.now += 1_000_000

    _spend(budget, clock, "greedy", 9.0)
    budget.check("greedy")
    _spend(budget, clock, "greedy", 9.0)
    with pytest.raises(LimitExceeded):
        budget.check("greedy")


def test_nothing_is_kept_of_who_has_all_of_it_again() -> None:
    clock = Clock()
    budget = OpeningBudget(10.0, clock)
    for n in range(1000):
        _spend(budget, clock, f"account {n}", 0.001)
        clock.now += 1.0

    assert len(budget) <= 2
