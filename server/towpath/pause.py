"""Pause: many small parts of long work share the event loop with everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

YIELD_SECONDS = 0.002
"""How long many small parts may keep the event loop before others run."""

MOST_WOKEN = 16
"""How many may be woken before these run."""


class Pause:
    """Lets others run now and then, after *seconds*, while many small parts are done; *clock* is in
    seconds.
    """

    def __init__(self, clock: Callable[[], float], seconds: float = YIELD_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._began = clock()
        self._before = 0.0
        self._woken = 0

    @property
    def worked(self) -> float:
        """Seconds that the parts have taken, without what others have done meanwhile."""
        return self._before + self._clock() - self._began

    async def if_due(self, *, woken: int = 0) -> None:
        """Let others run, if it was long ago, or so many were *woken* since that have to."""
        self._woken += woken
        if self._woken >= MOST_WOKEN or self._clock() - self._began > self._seconds:
            self._before = self.worked
            await asyncio.sleep(0)
            self._began, self._woken = self._clock(), 0
