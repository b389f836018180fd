"""Pace: how many streams step in one turn of the event loop, so that nobody else waits for long.

What wakes a thousand streams at once, as the end of a trial, would have all of them step before
anything else is served, a probe of `/health/alive` included.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_SECONDS = 0.01
"""For how long streams step in one turn: the thread's own time, whoever else is busy."""

AT_ONCE = 8
"""How many of those that wait step in one turn; each may take some milliseconds."""


class Pace:
    """All streams of a server, in the order in which they come; *clock* is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turn_began: float | None = None  # when the first of this turn came

    async def turn(self) -> None:
        """Wait until a stream may step: not at all as long as there is time in this turn."""
        if not self._waiting and self._has_time():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _has_time(self) -> bool:
        now = self._clock()
        if self._turn_began is None:
            self._turn_began = now
            asyncio.get_running_loop().call_soon(self._next_turn)
        return now - self._turn_began < SLICE_SECONDS

    def _next_turn(self) -> None:
        """Let the next ones step: behind those that were let before."""
        self._turn_began = None
        count = 0
        while self._waiting and count < AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():  # its stream may have ended
                turn.set_result(None)
                count += 1
        if count:
            asyncio.get_running_loop().call_soon(self._next_turn)
