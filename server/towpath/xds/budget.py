"""Budget: how much work the streams that one service account opens may cost the others."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

from towpath.xds.limits import LimitExceeded

SHARE = 0.1
"""Of each second, how much an account's budget grows by; never beyond what it was."""


class OpeningBudget:
    """Seconds of work for each account, *most* at once; *clock* is in seconds.

    What every replica's restart needs is there at once; after that a client that opens streams
    without end has but its share.
    """

    def __init__(self, most: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, account: str) -> None:
        """Raises LimitExceeded if the account has nothing left."""
        if self._now(account) <= 0:
            text = f"the streams that {account} has opened of late cost more than {self._most:g} s"
            raise LimitExceeded("opening-budget", f"{text} of work (--opening-budget)")

    @contextlib.contextmanager
    def spending(self, account: str) -> Iterator[None]:
        """What is done meanwhile is at the cost of that account."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            self._left[account] = self._now(account) - (now - began), now
            self._left.move_to_end(account)
            self._forget()

    def __len__(self) -> int:
        return len(self._left)

    def _now(self, account: str) -> float:
        left, at = self._left.get(account, (self._most, self._clock()))
        return min(left + (self._clock() - at) * SHARE, self._most)

    def _forget(self) -> None:
        """Those that have all of theirs again, the oldest first."""
        while self._left and self._now(oldest := next(iter(self._left))) >= self._most:
            del self._left[oldest]
