"""Backoff: how long to wait before the next attempt to connect."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable


class Backoff:
    """Delays that grow by `factor` from `initial_s` to `maximum_s`, each cut by up to one half.

    The cut is random, so that many clients of one server that went away do not come back at once.
    `chance` gives a number in [0, 1); `sleep` waits for that many seconds.
    """

    def __init__(
        self,
        *,
        initial_s: float = 0.5,
        maximum_s: float = 30.0,
        factor: float = 1.6,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 0 < initial_s <= maximum_s:
            raise ValueError(
                f"initial_s={initial_s} and maximum_s={maximum_s}: "
                "allowed is 0 < initial_s <= maximum_s"
            )
        if factor < 1:
            raise ValueError(f"factor={factor}: allowed is 1 or more")
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._factor = factor
        self._chance = chance
        self._sleep = sleep
        self._ceiling_s = initial_s

    def reset(self) -> None:
        """Start again at `initial_s`: the server has given a good answer."""
        self._ceiling_s = self._initial_s

    def next_delay(self) -> float:
        """Seconds to wait now, between one half and the whole of the current ceiling."""
        ceiling = self._ceiling_s
        self._ceiling_s = min(ceiling * self._factor, self._maximum_s)
        return ceiling * (1 - self._chance() / 2)

    async def wait(self) -> None:
        """Wait for the next delay."""
        await self._sleep(self.next_delay())
