"""Ends streams whose clients read nothing: one timer for all writes, instead of one for each.

It counts beats of the event loop, which come late, and only once, after the server was busy itself:
a client that was not looked at meanwhile is given its time.
"""

from __future__ import annotations

import asyncio
from math import ceil
from types import TracebackType

from towpath.xds.limits import LimitExceeded

BEAT_S = 1.0
"""Between two beats, or a quarter of what a client may take, if that is less."""

SHORTEST_BEAT_S = 0.01


class ReadWatchdog:
    """Watches the writes of all streams; each may take *longest_s* seconds of a loop that runs."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._beat_s = max(min(BEAT_S, longest_s / 4), SHORTEST_BEAT_S)
        self._most = ceil(longest_s / self._beat_s)
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writes: dict[Write, int] = {}  # to the beat it began at, the oldest first

    def write(self) -> Write:
        """One write of the present task: `with` it, which raises LimitExceeded if it is ended."""
        return Write(self)

    @property
    def text(self) -> str:
        """Why a stream is ended."""
        return f"nothing was read for {self._longest_s:g} s"

    def begin(self, write: Write) -> None:
        self._writes[write] = self._beats
        if self._timer is None:
            self._wait()

    def end(self, write: Write) -> None:
        self._writes.pop(write, None)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _beat(self) -> None:
        self._beats += 1
        self._timer = None
        while self._writes:
            write, began = next(iter(self._writes.items()))
            if self._beats - began <= self._most:
                self._wait()
                return
            del self._writes[write]
            write.expire()


class Write:
    """A write that is under way, of one task."""

    __slots__ = ("_cancelled_before", "_expired", "_task", "_watchdog")

    def __init__(self, watchdog: ReadWatchdog) -> None:
        self._watchdog = watchdog
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a write is made by a task"
        self._task, self._cancelled_before = task, task.cancelling()
        self._watchdog.begin(self)

    def expire(self) -> None:
        """It has taken too long."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watchdog.end(self)
        if not self._expired or self._task.uncancel() > self._cancelled_before:
            return
        if isinstance(error, asyncio.CancelledError):
            raise LimitExceeded("read-wait", self._watchdog.text) from error
