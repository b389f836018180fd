"""Pauses between attempts of the server: their growth, their bounds, their spread."""

from __future__ import annotations

import random

from towpath.backoff import Backoff


def test_pauses_double_up_to_the_longest_and_begin_again() -> None:
    backoff = Backoff(first_s=1, longest_s=5)

    assert [1, 2, 4, 5, 5] == [backoff.next() for _ in range(5)]
    backoff.reset()
    assert 1 == backoff.next()


def test_dice_take_at_most_half_of_a_pause() -> None:
    backoff = Backoff(first_s=1, longest_s=1, dice=random.Random(0))
    pauses = [backoff.next() for _ in range(100)]

    assert 0.5 <= min(pauses) < 0.6
    assert 0.9 < max(pauses) <= 1.0
