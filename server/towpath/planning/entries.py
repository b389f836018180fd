"""Entries: how much of a sidecar's configuration something takes, counted before it is made.

An entry is what an address takes there, and so many characters of a text: what policies say may be
long, and is written into each port, for each caller or for each host.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from towpath.model.egress import RequestMatch
from towpath.model.limits import RateLimits, RequestLimit

CHARACTERS = 32
"""How many characters of a text are an entry; what is longer counts for more."""

BUCKET = 8
"""How many entries a rate limit is, without its path and the headers that are answered."""


def of_texts(texts: Collection[str]) -> int:
    """What names take, of callers or of hosts."""
    return len(texts) + _length("".join(texts)) // CHARACTERS


def of_request(match: RequestMatch) -> int:
    """What it takes to say which requests are meant: one, one for each header, and their texts."""
    texts = "".join((match.path, *chain.from_iterable(match.headers)))
    return 1 + len(match.headers) + _length(texts) // CHARACTERS


def of_limits(limits: RateLimits, *, requests: bool) -> int:
    """What limits take on one port; with *requests* where these are seen."""
    size = BUCKET if limits.connections is not None else 0
    if requests and limits.requests is not None:
        size += _of_limit(limits.requests)
    if requests:
        size += sum(_of_limit(limit, path) for path, limit in limits.routes)
    return size


def _of_limit(limit: RequestLimit, path: str = "") -> int:
    texts = "".join((path, *chain.from_iterable(limit.headers)))
    return BUCKET + len(limit.headers) + _length(texts) // CHARACTERS


def _length(text: str) -> int:
    """As sidecars are sent it, where a character may be four bytes."""
    return len(text) if text.isascii() else len(text.encode())
