"""Turns: those who ask for long answers share the event loop with everybody else.

An answer is worked out in slices, one turn after another, and what is one long piece in a thread:
so nobody, a probe of `/health/alive` included, waits longer than a slice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from towpath.hub.queries import Job, Queries, Query, Unfinished

R = TypeVar("R")

SLICE_SECONDS = 0.02
"""How long one slice may keep the event loop: the thread's own time, whoever else is busy."""


class Turns:
    """Asks the queries on behalf of many; *forget* is told of a query that was given up."""

    def __init__(
        self,
        queries: Queries,
        *,
        forget: Callable[[Query], None],
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._queries = queries
        self._forget = forget
        self._clock = clock
        self._turn = asyncio.Lock()
        self._bench = asyncio.Lock()
        self._turn_began: float | None = None  # when it was first asked in this turn

    def has_time(self) -> bool:
        """False if those who asked since the event loop's turn began have taken all of a slice:
        whoever asks now is to wait for a turn of his own.
        """
        now = self._clock()
        if self._turn_began is None:
            self._turn_began = now
            asyncio.get_running_loop().call_soon(self._end_turn)
        return now - self._turn_began < SLICE_SECONDS

    def _end_turn(self) -> None:
        self._turn_began = None

    def begin(self, call: Callable[[], R], take: Callable[[R], object] = lambda _: None) -> bool:
        """Call it for one slice, and have its answer taken; false if it is not finished: `finish`
        goes on from there.
        """
        try:
            with self._queries.slice(SLICE_SECONDS, self._clock):
                take(call())
        except Unfinished:
            return False
        return True

    async def finish(self, call: Callable[[], R]) -> R:
        """What *call* gives; it asks the queries, and changes nothing before it has all of them."""
        left: Query | None = None
        try:
            while True:
                job: Job | None = None
                async with self._turn:
                    # Short answers for many are as long as one long answer.
                    if not self.has_time():
                        await asyncio.sleep(0)
                    try:
                        with self._queries.slice(SLICE_SECONDS, self._clock):
                            return call()
                    except Unfinished as unfinished:
                        left, job = unfinished.query, unfinished.job
                    if job is None:
                        # The turn is kept meanwhile: others have theirs behind everybody else's.
                        await asyncio.sleep(0)
                if job is not None:
                    await self._do(job)
        except BaseException:
            if left is not None:
                self._forget(left)
            raise

    async def _do(self, job: Job) -> None:
        """Do it in a thread, one at a time: two would only take turns there."""
        async with self._bench:
            if not job.done:
                await asyncio.to_thread(job.run)
