"""Share: how much of the event loop's time some work may take."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BURST_SECONDS = 0.1
"""What was not used before may be used at once, up to this."""

LEAST_LOOK = 64
"""With fewer shares nobody looks which are of use."""


class Share:
    """A part of the time, above 0 and at most 1; *clock* is monotonic, in seconds."""

    def __init__(self, part: float, clock: Callable[[], float]) -> None:
        self._part = part
        self._clock = clock
        self._left = BURST_SECONDS
        self._at = clock()

    def spend(self, seconds: float) -> None:
        """Note work that was done."""
        self._refill()
        self._left -= seconds

    @property
    def wait(self) -> float:
        """For how many seconds nothing may be done; 0.0 if something may."""
        self._refill()
        return max(0.0, -self._left / self._part)

    @property
    def untouched(self) -> bool:
        """True if it is as a new one would be."""
        self._refill()
        return self._left == BURST_SECONDS

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._part, BURST_SECONDS)
        self._at = now


class Shares(Generic[K]):
    """A share for each of many; one that is untouched, and that nobody uses, is forgotten."""

    def __init__(self, part: float, clock: Callable[[], float]) -> None:
        self._part = part
        self._clock = clock
        self._shares: dict[K, Share] = {}
        self._users: Counter[K] = Counter()
        self._look_at = LEAST_LOOK

    def __len__(self) -> int:
        return len(self._shares)

    @contextlib.contextmanager
    def use(self, key: K) -> Iterator[Share]:
        """That share, which is kept meanwhile."""
        self._users[key] += 1
        if key not in self._shares:
            if len(self._shares) >= self._look_at:
                self._forget()
            self._shares[key] = Share(self._part, self._clock)
        try:
            yield self._shares[key]
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]

    def _forget(self) -> None:
        """At each doubling, so that it costs little for each new share."""
        self._shares = {
            key: share
            for key, share in self._shares.items()
            if key in self._users or not share.untouched
        }
        self._look_at = max(2 * len(self._shares), LEAST_LOOK)
