"""Share: how much of the event loop's time some work may take."""

from __future__ import annotations

from collections.abc import Callable

BURST_SECONDS = 0.1
"""What was not used before may be used at once, up to this."""


class Share:
    """A part of the time, above 0 and at most 1; *clock* is monotonic, in seconds."""

    def __init__(self, part: float, clock: Callable[[], float]) -> None:
        self._part = part
        self._clock = clock
        self._left = BURST_SECONDS
        self._at = clock()

    def spend(self, seconds: float) -> None:
        """Note work that was done."""
        self._refill()
        self._left -= seconds

    @property
    def wait(self) -> float:
        """For how many seconds nothing may be done; 0.0 if something may."""
        self._refill()
        return max(0.0, -self._left / self._part)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._part, BURST_SECONDS)
        self._at = now
