"""Ahead: what a session's next step compares is worked out before it, where nobody waits.

A step compares what its client holds with what takes its place, each pair once for all clients.
Where everybody goes from one version to the next, the hub has done that already; a client that is
on an older version, or comes back with one, brings a pair of its own, and large resources take
longer to compare than the event loop may be held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from towpath.model.snapshot import Resource, Vocabulary
from towpath.rollout.clients import ClientRecord

LARGE = 256 << 10
"""Bytes of what is to be compared that are too many for the event loop: 10 ms of work."""

Pair = tuple[Resource, Resource]
"""What a client may hold, and what takes its place."""


class Ahead:
    """Compares for all streams of a server."""

    def __init__(self) -> None:
        self._bench = asyncio.Lock()

    async def compare(
        self, client: ClientRecord, vocabulary: Vocabulary, pairs: Collection[Pair]
    ) -> None:
        """Have it known what each of these pairs has in common, unless that is little work."""
        if _size(client.uncompared(vocabulary, pairs)) < LARGE:
            return
        # One at a time: two would only take turns. Others may have brought the same pairs.
        async with self._bench:
            await asyncio.to_thread(_compare, client, vocabulary, pairs)


def _compare(client: ClientRecord, vocabulary: Vocabulary, pairs: Iterable[Pair]) -> None:
    for before, after in pairs:
        client.intersection(vocabulary, before, after)


def _size(pairs: Iterable[Pair]) -> int:
    return sum(len(before.packed) + len(after.packed) for before, after in pairs)
