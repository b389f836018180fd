"""Backoff: how long to pause before something that failed is tried again."""

from __future__ import annotations

from typing import Protocol


class Dice(Protocol):
    """A source of chance, such as `random.Random`."""

    def random(self) -> float: ...


class Backoff:
    """Pauses, in seconds, that double with each failure in a row, up to *longest_s*.

    With *dice* each is between half and the whole of that, so that many who failed together do
    not come back together.
    """

    def __init__(self, *, first_s: float, longest_s: float, dice: Dice | None = None) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._dice = dice
        self._next_s = first_s

    def reset(self) -> None:
        """It has worked: the next pause is the first one again."""
        self._next_s = self._first_s

    def next(self) -> float:
        """The pause after one more failure."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self._longest_s)
        return pause_s if self._dice is None else pause_s * (0.5 + self._dice.random() / 2)
