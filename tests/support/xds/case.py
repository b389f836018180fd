"""One test's node on a server under test."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from support.xds import client, contents
from support.xds.client import PROBED, PROBES, DeltaClient, SotwClient
from support.xds.contents import Contents, Item
from support.xds.target import Target


@dataclass(frozen=True)
class Case:
    """What the node is to hold, and streams of it."""

    target: Target
    node: str

    async def put(
        self,
        whole: Contents,
        *,
        version: str = "1",
        probed: str = PROBED,
    ) -> None:
        """Let the node hold just this, and the probes of the type *probed*."""
        state = {type_url: dict(items) for type_url, items in contents.state(whole).items()}
        state.setdefault(probed, {}).update((name, Item()) for name in PROBES)
        await self.target.adapter.set_state(self.node, version, contents.messages(state))

    async def update(self, type_url: str, name: str, *, version: str = "2") -> None:
        await self.target.adapter.update_resource(self.node, type_url, name, version)

    async def add(self, type_url: str, name: str, *, version: str = "2") -> None:
        await self.target.adapter.add_resource(self.node, type_url, name, version)

    async def remove(self, type_url: str, name: str, *, version: str = "1") -> None:
        await self.target.adapter.remove_resource(self.node, type_url, name, version)

    def sotw(self, **more: Any) -> AbstractAsyncContextManager[SotwClient]:
        return client.sotw(self.target.address, self.node, **more)

    def delta(self, **more: Any) -> AbstractAsyncContextManager[DeltaClient]:
        return client.delta(self.target.address, self.node, **more)
