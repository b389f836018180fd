"""Limits: how much one stream, one peer and all of them may ask of the server."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from towpath.settings import StreamLimits

NAMES_FOR_ONE = 100
"""How many names in a request cost as much as another request."""

BURST_SECONDS = 10.0
"""For how many seconds' requests a stream may send at once: a sidecar that starts asks a lot."""


SILENT_PART = 10
"""Of the streams that there may be, one in so many may not have asked for anything yet."""


class LimitExceeded(Exception):
    """A limit was passed: *limit* is its name, and the text says by how much."""

    def __init__(self, limit: str, text: str) -> None:
        super().__init__(text)
        self.limit = limit


class Admission:
    """Counts the open streams, of all and of each peer: an address without its port.

    One of the *silent* counts those that have not asked for anything yet.
    """

    def __init__(self, limits: StreamLimits, *, silent: bool = False) -> None:
        part = SILENT_PART if silent else 1
        self._most = -(-limits.max_streams // part)
        self._most_of_peer = -(-limits.max_streams_per_peer // part)
        self._what = "silent-streams" if silent else "streams"
        self._are = "are silent" if silent else "are open"
        self._by_peer: Counter[str] = Counter()

    @contextlib.contextmanager
    def stream(self, peer: str) -> Iterator[None]:
        """While one stream is open. Raises LimitExceeded if there are too many."""
        host = peer.rpartition(":")[0] or peer
        if self._by_peer.total() >= self._most:
            text = f"{self._most} streams {self._are} already, which is the limit"
            raise LimitExceeded(self._what, text)
        if self._by_peer[host] >= self._most_of_peer:
            text = f"{self._most_of_peer} streams {self._are} from {host} already"
            raise LimitExceeded(f"{self._what}-per-peer", f"{text}, which is the limit of a peer")
        self._by_peer[host] += 1
        try:
            yield
        finally:
            self._by_peer[host] -= 1
            if not self._by_peer[host]:
                del self._by_peer[host]


class RequestRate:
    """One stream's allowance of requests; *clock* is in seconds."""

    def __init__(self, limits: StreamLimits, clock: Callable[[], float]) -> None:
        self._rate = limits.max_request_rate
        self._clock = clock
        self._left = self._rate * BURST_SECONDS
        self._at = clock()

    def take(self, names: int = 0) -> None:
        """Note a request with so many names. Raises LimitExceeded if there were too many."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST_SECONDS)
        self._at = now
        cost = 1 + names / NAMES_FOR_ONE
        if self._left < cost:
            text = f"more than {self._rate:g} requests per second on one stream, which is the limit"
            raise LimitExceeded("request-rate", text)
        self._left -= cost
