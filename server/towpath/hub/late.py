"""Late: what is published takes too long to be done at once, and is finished behind the rest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

PATIENCE_SECONDS = 0.25
"""How long one publication waits for what takes long: others most likely need the same, as a
listener, and would all ask for it in vain.
"""

SIDE_BY_SIDE = 8
"""How many are finished side by side: while one waits for a thread, others may need none."""

Finish = Callable[[], Coroutine[Any, Any, None]]


class Late:
    """What of one publication is finished late; all of it is at the end of `async with`.

    *clock* is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._patience_s = PATIENCE_SECONDS
        self._tasks = asyncio.TaskGroup()
        self._left: deque[Finish] = deque()

    async def add(self, finish: Finish) -> None:
        """Have it finished: at once, as long as there is patience, else behind the rest."""
        if self._patience_s <= 0:
            self._left.append(finish)
            return
        began = self._clock()
        await asyncio.wait([self._tasks.create_task(finish())], timeout=self._patience_s)
        self._patience_s -= self._clock() - began

    async def _finish_left(self) -> None:
        while self._left:
            await self._left.popleft()()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            for _ in range(min(SIDE_BY_SIDE, len(self._left))):
                self._tasks.create_task(self._finish_left())
        await self._tasks.__aexit__(kind, error, traceback)
