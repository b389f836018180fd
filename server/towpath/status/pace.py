"""Pace: when something may be written next, so that nothing holds up or floods the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from towpath.backoff import Backoff

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""After a failure; doubled with each that follows it."""


def _backoff() -> Backoff:
    return Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)


@dataclass(slots=True)
class _Turn:
    written_at: float = float("-inf")
    not_before: float = float("-inf")
    why: object = None
    backoff: Backoff = field(default_factory=_backoff)


class Pace:
    """*clock* is monotonic, in seconds; keys are whatever is written, or a group of that."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._turns: dict[str, _Turn] = {}

    def at(self, key: str, *, gap_s: float = 0.0) -> float:
        """From when it may be written: *gap_s* after it last was, and not soon after a failure."""
        turn = self._turns.get(key)
        return float("-inf") if turn is None else max(turn.written_at + gap_s, turn.not_before)

    def written(self, key: str) -> None:
        self._turns[key] = _Turn(written_at=self._clock())

    def failed(self, key: str, why: object, *, at_least_s: float = 0.0) -> bool:
        """Pause for longer each time; true if *why* is not what it failed for before."""
        turn = self._turns.setdefault(key, _Turn())
        news, turn.why = turn.why != why, why
        turn.not_before = self._clock() + max(turn.backoff.next(), at_least_s)
        return news

    def forget(self, key: str) -> None:
        self._turns.pop(key, None)
