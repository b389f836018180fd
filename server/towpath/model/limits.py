"""Rate limits as their authors write them: how often a service may be connected to, and called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """So many times in each period of *seconds*, and *burst* more at one time. Always above 0."""

    count: int
    seconds: int
    burst: int = 0


@dataclass(frozen=True, slots=True, order=True)
class RequestLimit:
    """How many requests are answered; the others get *status*, with these headers."""

    rate: Rate
    status: int = 429
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class RateLimits:
    """What each server's sidecar counts, by itself, on each of its ports; None is no limit.

    `routes` are RE2 expressions of paths, in the order in which they are tried, and the limit that
    holds for their requests in place of `requests`.
    """

    connections: Rate | None = None
    requests: RequestLimit | None = None
    routes: tuple[tuple[str, RequestLimit], ...] = ()
