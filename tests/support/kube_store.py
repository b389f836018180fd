"""A store that follows a scripted API server, and what a test asks of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from support.fake_api import FakeApi
from towpath.kubeapi.configuration import connect
from towpath.model.mesh import Mesh
from towpath.model.names import Kind
from towpath.settings import MeshSettings
from towpath.sources.decode import decode
from towpath.sources.kube import KubeSource
from towpath.sources.kube.checkpoint import Origin
from towpath.sources.kube.keeper import Keeper, Rhythm
from towpath.sources.kube.timing import Timing
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

PATIENCE_S = 30.0
QUICK_RHYTHM = Rhythm(quiet_s=0.02, longest_s=0.5, every_s=0.5, patience_s=1.0, look_s=0.02)
QUICK = Timing(first_pause_s=0.01, longest_pause_s=0.1, lenient_s=0.3, steady_s=0.3, idle_s=5.0)


class FollowedStore:
    """A store, its source, and the API server that it follows."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.changes = 0
        self.metrics = Metrics()
        self._changed = asyncio.Event()
        self.store = Store(MeshSettings().scope, on_change=self._touch)
        self.source: KubeSource | None = None

    def _touch(self) -> None:
        self.changes += 1
        self._changed.set()

    def mesh(self) -> Mesh:
        return self.store.drain()[0]

    def names(self, kind: Kind) -> set[str]:
        return {name for its_kind, _, name in self.mesh().objects if its_kind is kind}

    def problems(self) -> list[str]:
        return [str(problem) for problem in self.mesh().problems]

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def stale(self) -> float:
        assert self.source is not None
        return self.source.stale_seconds()

    def equal(self) -> bool:
        """True if the store holds what the server's objects say, computed from scratch."""
        objects = [decode(raw, "").value for raw in self.api.objects.values()]
        wanted = {(v.kind, v.namespace, v.name): v for v in objects if v is not None}
        return self.store.synced and dict(self.mesh().objects) == wanted

    async def until(self, holds: Callable[[], Any], what: str = "equal") -> None:
        """Wait until it holds."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            requests = [f"{path} {query}" for path, query in self.api.requests[-5:]]
            raise AssertionError(f"not {what}: {self.problems()}, last asked {requests}") from None


class Follow(Protocol):
    """`async with follow(api) as held`; *checkpoint* is a file; keywords change the timing."""

    def __call__(
        self, api: FakeApi, *, checkpoint: Path | None = None, **timing: Any
    ) -> AbstractAsyncContextManager[FollowedStore]: ...


@asynccontextmanager
async def following(
    api: FakeApi, folder: Path, *, checkpoint: Path | None = None, **timing: Any
) -> AsyncIterator[FollowedStore]:
    store = FollowedStore(api)
    client = await connect(api.kubeconfig(folder), "")
    origin = Origin("osm", "osm-system", client.url, client.authority)
    keeper = None
    if checkpoint is not None:
        keeper = Keeper(
            checkpoint, origin, metrics=store.metrics, now=time.time, rhythm=QUICK_RHYTHM
        )
    store.source = KubeSource(
        client,
        store.store,
        osm_namespace="osm-system",
        metrics=store.metrics,
        keeper=keeper,
        clock=time.monotonic,
        dice=random.Random(1),
        timing=replace(QUICK, **timing),
    )
    running = asyncio.create_task(store.source.run())
    try:
        yield store
        assert not running.done(), "the source has ended by itself"
    finally:
        running.cancel()
        await asyncio.wait({running})
        await client.close()
