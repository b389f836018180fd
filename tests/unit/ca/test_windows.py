"""When leaves are renewed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from towpath.ca.windows import next_renewal, windows
from towpath.model.identity import SLOTS

AT = datetime(2026, 11, 28, 12, 34, 56, 789, tzinfo=UTC)
DAY = timedelta(hours=24)
VALIDITIES = (timedelta(minutes=10), DAY, timedelta(days=30))


@pytest.mark.parametrize("validity", VALIDITIES)
def test_every_slot_is_in_a_window_of_half_the_validity(validity: timedelta) -> None:
    present = windows(AT, validity)

    assert list(range(SLOTS)) == sorted(present)
    for window in present.values():
        assert validity / 2 == window.length
        assert window.begin <= AT < window.begin + window.length


@pytest.mark.parametrize("validity", VALIDITIES)
def test_a_leaf_is_good_for_half_its_validity_whenever_it_is_sent(validity: timedelta) -> None:
    for window in windows(AT, validity).values():
        assert window.begin + 2 * window.length - AT >= validity / 2


def test_the_phases_are_spread_over_the_whole_window() -> None:
    present = windows(AT, DAY)

    begins = sorted(window.begin for window in present.values())
    gaps = {later - earlier for earlier, later in itertools.pairwise(begins)}

    assert SLOTS == len(set(begins))
    assert {timedelta(seconds=168), timedelta(seconds=169)} == gaps


def test_replicas_whose_clocks_differ_by_less_than_a_phase_agree_about_almost_all() -> None:
    here, there = windows(AT, DAY), windows(AT + timedelta(seconds=100), DAY)

    assert len([slot for slot in range(SLOTS) if here[slot] != there[slot]]) <= 1


def test_at_the_next_renewal_one_slot_moves_on() -> None:
    present = windows(AT, DAY)
    at = next_renewal(present)

    before, after = windows(at - timedelta(seconds=1), DAY), windows(at, DAY)
    moved = [slot for slot in range(SLOTS) if before[slot] != after[slot]]

    assert present == before
    assert 1 == len(moved)
    assert before[moved[0]].begin + before[moved[0]].length == after[moved[0]].begin == at
