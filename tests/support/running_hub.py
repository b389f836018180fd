"""A hub that follows a store, and what a test wants to know of its streams."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass

from support.objects import fill
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.hub.stream import Stream
from towpath.model.credentials import Credential, Subscriber
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.rollout.records import StreamRecords
from towpath.settings import DebounceSettings, MeshSettings, RolloutSettings
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

Compose = Callable[[Mesh, ClientKind, SidecarId], Snapshot | None]
"""What one sidecar is to hold; None for an unknown pod."""

AT_ONCE = DebounceSettings(settle_quiet=0, settle_max=0)
WITHIN_S = 30.0
TURNS_OF_PUBLISHING = 1_000
"""How many turns of the event loop it takes at most to publish to the streams of a test."""

TURNS = 10
"""How many turns of the event loop what is published needs to arrive, also after its slice."""


@dataclass(frozen=True, slots=True)
class RunningHub:
    """`hub.run()` is under way; `store` is the one it follows."""

    hub: Hub
    store: Store
    metrics: Metrics

    def attach(
        self,
        pod: str,
        *,
        namespace: str = "shop",
        variant: str = "sotw",
        subscriber: Account | Subscriber | None = None,
        endpoints: frozenset[str] | None = None,
    ) -> Stream:
        """Open a stream whose client asks for these *endpoints*; None: for all there are."""
        if isinstance(subscriber, Account):
            subscriber = Subscriber(subscriber, Credential.CERTIFICATE)
        stream = self.hub.attach(
            peer="test",
            node_id=f"{pod}.{namespace}",
            sidecar=SidecarId(pod=pod, namespace=namespace),
            kind=ClientKind.ENVOY,
            variant=variant,
            subscriber=subscriber,
        )
        stream.subscribe(endpoints)
        return stream

    async def holds(self, *objects: Object) -> None:
        """Apply *objects*, mark every kind listed, and wait until all that is published."""
        fill(self.store, *objects)
        await self.published()

    async def published(self) -> None:
        """Wait until the store's present state is what the hub has published."""
        async with asyncio.timeout(WITHIN_S):
            while not (self.hub.ready and self.hub.mesh.objects == self.store._objects):
                await asyncio.sleep(0)
            # Publishing itself yields between streams, and may fail.
            for _ in range(TURNS_OF_PUBLISHING):
                if self.hub._publisher.whole:
                    break
                await asyncio.sleep(0)
            await asyncio.sleep(0.005)


def hub_that(compose: Compose | None) -> type[Hub]:
    """A hub that publishes what *compose* makes in place of snapshots of the mesh, for each sidecar
    alone; None: the hub as it is.
    """
    if compose is None:
        return Hub

    def group(_: Mesh, kind: ClientKind, sidecar: SidecarId) -> Hashable:
        return kind, sidecar

    def composed(mesh: Mesh, of: tuple[ClientKind, SidecarId]) -> Snapshot | None:
        return compose(mesh, *of)

    queries = {"_group": staticmethod(group), "_compose": staticmethod(composed)}
    return type("HubOfOtherSnapshots", (Hub,), queries)


@contextlib.asynccontextmanager
async def running_hub(
    *,
    compose: Compose | None = None,
    clock: Callable[[], float] = time.monotonic,
    rollout: RolloutSettings | None = None,
    settle: DebounceSettings = AT_ONCE,
) -> AsyncIterator[RunningHub]:
    """An empty hub that publishes at once, or as *settle* says; its records' clock counts seconds
    from 1000.
    """
    debounce = Debounce(quiet=settle.settle_quiet, longest=settle.settle_max, clock=clock)
    store = Store(MeshSettings().scope, on_change=debounce.touch)
    metrics = Metrics()
    hub = hub_that(compose)(
        store,
        debounce,
        records=StreamRecords(clock=itertools.count(1000.0).__next__),
        metrics=metrics,
        clock=clock,
        rollout=rollout or RolloutSettings(),
    )
    following = asyncio.ensure_future(hub.run())
    try:
        yield RunningHub(hub, store, metrics)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def newest(stream: Stream) -> Snapshot | None:
    """Take what the stream has for its reader now, if anything."""
    taking = asyncio.ensure_future(stream.next())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    if taking.done():
        return taking.result()[0]
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return None
