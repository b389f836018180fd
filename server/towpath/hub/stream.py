"""Stream: the hub's end of one sidecar's subscription; only the newest snapshot is kept."""

from __future__ import annotations

import asyncio

from towpath.hub.deliveries import Delivery
from towpath.model.snapshot import Snapshot


class Stream:
    """Where the hub puts a snapshot, and where its reader takes the newest one from.

    A reader that is busy skips what came in between; an equal snapshot wakes nobody.
    """

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._snapshot: Snapshot | None = None
        self._changed_at: float | None = None
        self._new = asyncio.Event()

    def publish(self, snapshot: Snapshot, *, revision: int, changed_at: float | None) -> None:
        """Offer the snapshot of a revision of the mesh.

        *changed_at* is the monotonic time of the change that led to it.
        """
        if snapshot == self._snapshot:
            return
        if self._snapshot is not None and self.delivery.acknowledged(self._snapshot.version):
            self.delivery.acknowledged_through = revision - 1
        self._snapshot = snapshot
        if not self._new.is_set():
            self._changed_at = changed_at
        self._new.set()

    async def next(self) -> tuple[Snapshot, float | None]:
        """Wait for a snapshot that was not taken yet; gives it and its change's time."""
        await self._new.wait()
        self._new.clear()
        assert self._snapshot is not None
        return self._snapshot, self._changed_at
