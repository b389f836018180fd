"""A share of time, on a clock that a test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.reports.share import BURST_SECONDS, LEAST_LOOK, Share, Shares


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_spent_beyond_the_burst_has_to_be_waited_for() -> None:
    clock = Clock()
    share = Share(0.1, clock)
    share.spend(BURST_SECONDS + 0.05)

    assert 0.5 == pytest.approx(share.wait)
    clock.now += 0.5
    assert 0.0 == pytest.approx(share.wait)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), max_size=50))
def test_who_waits_as_long_as_is_said_never_has_more_than_the_share(
    steps: list[tuple[float, float]],
) -> None:
    clock = Clock()
    share = Share(0.1, clock)
    spent = last = 0.0
    for pause, work in steps:
        clock.now += pause + share.wait
        share.spend(work)
        spent, last = spent + work, work

    assert spent - last <= BURST_SECONDS + 0.1 * clock.now + 1e-6


def test_shares_that_nobody_needs_are_forgotten() -> None:
    clock = Clock()
    shares = Shares[str](0.5, clock)
    with shares.use("open") as of_open:
        for number in range(10 * LEAST_LOOK):
            with shares.use(f"account-{number}") as share:
                share.spend(1.0)
            clock.now += 10

        assert len(shares) <= LEAST_LOOK
        with shares.use("open") as again:
            assert of_open is again


def test_who_has_spent_too_much_finds_the_share_as_it_was() -> None:
    shares = Shares[str](0.5, Clock())
    with shares.use("greedy") as share:
        share.spend(1.0)
    for number in range(10 * LEAST_LOOK):
        with shares.use(f"account-{number}"):
            pass

    with shares.use("greedy") as share:
        assert (1.0 - BURST_SECONDS) / 0.5 == pytest.approx(share.wait)
