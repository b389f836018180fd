"""The event loop's lag: how late it comes to what is due, and which code kept it.

While one piece of code runs, nothing else is served. A timer measures how late it is called; a
thread notes where the loop's own thread is when that takes too long, as the loop cannot say it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from types import FrameType

from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

INTERVAL_S = 0.1
"""Between two looks."""

LONG_S = 0.1
"""A longer hold is logged with its cause."""

_OWN = "towpath"
_CALLERS = 3


class LoopLag:
    """Measures the lag of the running event loop into *metrics*, until it is cancelled."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = INTERVAL_S,
        long_s: float = LONG_S,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._interval_s = interval_s
        self._long_s = long_s
        self._due = 0.0
        self._longest_s = 0.0
        self._cause = ""

    async def run(self) -> None:
        """Look again and again; a stop of the whole process, by SIGSTOP say, is lag as well."""
        ended = threading.Event()
        arguments = (threading.get_ident(), ended)
        watch = threading.Thread(target=self._watch, args=arguments, name="loop-lag", daemon=True)
        self._due = self._clock() + self._interval_s
        watch.start()
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                self._look()
        finally:
            ended.set()

    def _look(self) -> None:
        lag_s = max(0.0, self._clock() - self._due)
        self._metrics.loop_lag_seconds.observe(lag_s)
        if lag_s > self._longest_s:
            self._longest_s = lag_s
            self._metrics.longest_loop_lag.set(lag_s)
        if lag_s > self._long_s:
            cause = self._cause or "unknown code"
            text = "the event loop was held for %d ms by %s"
            log.warning(text, lag_s * 1000, cause, extra={"lag_s": round(lag_s, 3)})
        self._cause = ""
        self._due = self._clock() + self._interval_s

    def _watch(self, loop_thread: int, ended: threading.Event) -> None:
        """In a thread: note what the loop's thread runs while it is late."""
        while not ended.wait(self._long_s / 2):
            if not self._cause and self._clock() - self._due > self._long_s / 2:
                frames = sys._current_frames()  # noqa: SLF001 - Python documents it, under that name
                self._cause = _place(frames.get(loop_thread))


def _place(frame: FrameType | None) -> str:
    """The innermost functions in that stack, ours if there are any: `plan (towpath.x:12), …`."""
    stack: list[FrameType] = []
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    own = [one for one in stack if _module(one).split(".", 1)[0] == _OWN]
    places = (f"{one.f_code.co_qualname} ({_module(one)}:{one.f_lineno})" for one in own or stack)
    return ", called by ".join(islice(places, _CALLERS))


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
