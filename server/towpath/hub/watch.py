"""Watch: somebody who looks on as one sidecar's snapshot changes, without being that sidecar."""

from __future__ import annotations

import asyncio

from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot


class Watch:
    """Where the hub puts a snapshot (None: no such pod); only the newest is kept."""

    def __init__(self, kind: ClientKind, sidecar: SidecarId, present: Snapshot | None) -> None:
        self.kind = kind
        self.sidecar = sidecar
        self._latest = present
        self._new = asyncio.Event()
        self._new.set()

    def offer(self, latest: Snapshot | None) -> None:
        """Tell the one who looks on, unless nothing has changed."""
        if latest != self._latest:
            self._latest = latest
            self._new.set()

    async def next(self) -> Snapshot | None:
        """The present snapshot at first, then wait for another one."""
        await self._new.wait()
        self._new.clear()
        return self._latest
