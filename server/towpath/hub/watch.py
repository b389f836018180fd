"""Watch: somebody who looks on as one sidecar's snapshot changes, without being that sidecar."""

from __future__ import annotations

import asyncio

from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot


class Watch:
    """Where the hub puts a snapshot (None: no such pod); only the newest is kept."""

    def __init__(self, kind: ClientKind, sidecar: SidecarId) -> None:
        self.kind = kind
        self.sidecar = sidecar
        self._latest: Snapshot | None = None
        self._offered = False
        self._new = asyncio.Event()

    def offer(self, latest: Snapshot | None) -> None:
        """Tell the one who looks on, unless nothing has changed."""
        if latest != self._latest or not self._offered:
            self._latest, self._offered = latest, True
            self._new.set()

    async def next(self) -> Snapshot | None:
        """The present snapshot at first, then wait for another one."""
        await self._new.wait()
        self._new.clear()
        return self._latest
