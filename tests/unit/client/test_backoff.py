"""The waits between attempts: their growth, their bounds, their jitter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath_client import Backoff


def test_without_a_cut_the_delays_grow_by_the_factor_up_to_the_maximum() -> None:
    backoff = Backoff(initial_s=1, maximum_s=5, factor=2, chance=lambda: 0.0)

    assert [backoff.next_delay() for _ in range(5)] == [1, 2, 4, 5, 5]


@given(st.lists(st.floats(min_value=0, max_value=1, exclude_max=True), min_size=1, max_size=20))
def test_every_delay_is_between_half_and_the_whole_of_its_ceiling(chances: list[float]) -> None:
    cut, whole = iter(chances), Backoff(chance=lambda: 0.0)
    backoff = Backoff(chance=lambda: next(cut))

    for _ in chances:
        ceiling = whole.next_delay()
        assert ceiling / 2 <= backoff.next_delay() <= ceiling <= 30


def test_a_good_answer_makes_the_next_delay_the_first_one_again() -> None:
    backoff = Backoff(initial_s=1, factor=2, chance=lambda: 0.5)
    before = [backoff.next_delay(), backoff.next_delay()]

    backoff.reset()

    assert (before, backoff.next_delay()) == ([0.75, 1.5], 0.75)


async def test_waiting_sleeps_for_the_next_delay() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backoff = Backoff(initial_s=2, factor=3, chance=lambda: 0.0, sleep=sleep)
    await backoff.wait()
    await backoff.wait()

    assert slept == [2, 6]


def test_impossible_bounds_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="allowed is 0 < initial_s <= maximum_s"):
        Backoff(initial_s=9, maximum_s=3)
    with pytest.raises(ValueError, match=r"factor=0\.5: allowed is 1 or more"):
        Backoff(factor=0.5)
