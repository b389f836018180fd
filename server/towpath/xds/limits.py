"""Limits: how much one stream, one peer and all of them may ask of the server."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towpath.xds.messages import Request, SotwRequest

BURST_SECONDS = 10.0
"""For how many seconds' requests a stream may send at once: a sidecar that starts asks a lot."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of these names; times in seconds."""

    max_name_length: int = 2048
    max_streams: int = 20_000
    max_streams_per_peer: int = 2_000
    max_request_rate: float = 200.0
    read_wait: float = 30.0


DEFAULTS = Limits()


class LimitExceeded(Exception):
    """A limit was passed: *limit* is its name, and the text says by how much."""

    def __init__(self, limit: str, text: str) -> None:
        super().__init__(text)
        self.limit = limit


def check_names(request: Request, limits: Limits) -> None:
    """Raises LimitExceeded for a request with a name that is too long."""
    if isinstance(request, SotwRequest):
        names = [request.names]
    else:
        names = [request.subscribe, request.unsubscribe, request.initial_versions]  # type: ignore[list-item]
    longest = max((len(name) for held in names for name in held), default=0)
    if longest > limits.max_name_length:
        text = f"a name of {longest} characters: at most {limits.max_name_length} are allowed"
        raise LimitExceeded("name-length", text)


class Admission:
    """Counts the open streams, of all and of each peer: an address without its port."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_peer: Counter[str] = Counter()

    @contextlib.contextmanager
    def stream(self, peer: str) -> Iterator[None]:
        """While one stream is open. Raises LimitExceeded if there are too many."""
        host = peer.rpartition(":")[0] or peer
        if self._by_peer.total() >= self._limits.max_streams:
            text = f"{self._limits.max_streams} streams are open already, which is the limit"
            raise LimitExceeded("streams", text)
        if self._by_peer[host] >= self._limits.max_streams_per_peer:
            limit = self._limits.max_streams_per_peer
            text = f"{limit} streams are open from {host} already, which is the limit of a peer"
            raise LimitExceeded("streams-per-peer", text)
        self._by_peer[host] += 1
        try:
            yield
        finally:
            self._by_peer[host] -= 1
            if not self._by_peer[host]:
                del self._by_peer[host]


class RequestRate:
    """One stream's allowance of requests; *clock* is in seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._rate = limits.max_request_rate
        self._clock = clock
        self._left = self._rate * BURST_SECONDS
        self._at = clock()

    def take(self) -> None:
        """Note a request. Raises LimitExceeded if there were too many."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST_SECONDS)
        self._at = now
        if self._left < 1:
            text = f"more than {self._rate:g} requests per second on one stream, which is the limit"
            raise LimitExceeded("request-rate", text)
        self._left -= 1
