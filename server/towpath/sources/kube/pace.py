"""Pace: how long to wait for a server, and between two attempts."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Times, in seconds.

    `idle_s`: bookmarks come about once a minute, so a watch without a byte for this long is dead.
    `watch_s`: the server ends a watch after a time in between, not all of them at once.
    `lenient_s`: a server that has just started refuses everything until its rights are loaded.
    `steady_s`: a watch that lived this long has worked; the next pause is a short one again.
    """

    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    longest_asked_pause_s: float = 60.0
    lenient_s: float = 10.0
    steady_s: float = 10.0
    idle_s: float = 90.0
    watch_s: tuple[int, int] = (290, 590)


class Backoff:
    """Pauses that double with each failure in a row and that *dice* spreads."""

    def __init__(self, pace: Pace, dice: random.Random) -> None:
        self._pace = pace
        self._dice = dice
        self._failures = 0

    @property
    def fresh(self) -> bool:
        """True if nothing has failed since the last success."""
        return self._failures == 0

    def reset(self) -> None:
        self._failures = 0

    def next(self, asked_s: float = 0.0) -> float:
        """The seconds to pause after one more failure; a server may have *asked* for more."""
        longest = min(self._pace.longest_pause_s, self._pace.first_pause_s * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        asked = min(asked_s, self._pace.longest_asked_pause_s)
        return float(asked + longest * (0.5 + self._dice.random() / 2))
