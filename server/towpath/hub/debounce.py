"""Debounce: the first change goes out at once, what follows close behind it is taken together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Debounce:
    """Says when changes have settled.

    A change after *quiet* seconds without one is released at once; a later one waits until no
    more have come for *quiet* seconds, but never longer than *longest* seconds.
    """

    def __init__(self, *, quiet: float, longest: float, clock: Callable[[], float]) -> None:
        self._quiet = quiet
        self._longest = longest
        self._clock = clock
        self._touched = asyncio.Event()
        self._first = 0.0
        self._latest = 0.0
        self._released = float("-inf")

    def touch(self) -> None:
        """Note a change."""
        now = self._clock()
        if not self._touched.is_set():
            self._first = now
        self._latest = now
        self._touched.set()

    async def wait(self) -> float:
        """Wait for settled changes; gives the clock's time of the first of them."""
        await self._touched.wait()
        if self._first - self._released < self._quiet:
            # More changes only move the deadline, so there is no event to wait for.
            while (left := self._left()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(left)
        self._touched.clear()
        self._released = self._clock()
        return self._first

    def _left(self) -> float:
        until = min(self._latest + self._quiet, self._first + self._longest)
        return until - self._clock()
