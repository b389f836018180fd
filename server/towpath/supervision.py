"""Supervision: what nobody foresaw ends no task for good, and never the server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from towpath.backoff import Backoff
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

STEADY_S = 60.0
"""A task that ran this long has worked; the next pause is a short one again."""


class Supervisor:
    """Starts tasks again that failed, after pauses, in seconds, that double with each failure."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_pause_s: float = 0.5,
        longest_pause_s: float = 30.0,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s

    async def keep(self, task: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work* until it returns or is cancelled; a failure is logged, and counted by *task*.

        *work* must be able to begin anew at any time. *task* is one of a few fixed words.
        """
        failures = self._metrics.task_failures.labels(task)
        backoff = Backoff(first_s=self._first_pause_s, longest_s=self._longest_pause_s)
        while True:
            begun = self._clock()
            try:
                await work()
            except Exception:
                failures.inc()
                if self._clock() - begun >= STEADY_S:
                    backoff.reset()
                pause_s = backoff.next()
                text = "the task %s failed; it starts again in %g s"
                log.exception(text, task, pause_s, extra={"task": task})
            else:
                return
            await asyncio.sleep(pause_s)
