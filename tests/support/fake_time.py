"""Time in tests: a clock that a test moves, and an event loop whose time passes at once (whoever
sleeps is next, and the clock jumps there).
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

Now = Callable[[], float]
"""What tells the time, in seconds."""


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Jump(selectors.DefaultSelector):
    """Never waits; it adds to *now* what it was asked to wait for."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("nothing will ever happen: every task waits, and none for a time")
        if timeout and not ready:
            self.now += timeout
        return ready


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 1000 s and is also the clock to pass to what is tested."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run_in_fake_time(scenario: Callable[[Now], Coroutine[Any, Any, T]]) -> T:
    """Run *scenario* with the loop's clock, which starts at 1000 s."""
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        loop = runner.get_loop()
        return runner.run(scenario(loop.time))
