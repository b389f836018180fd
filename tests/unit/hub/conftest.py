"""A hub that follows a store, as in a running server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import pytest

from support.running_hub import RunningHub
from towpath.hub.deliveries import Deliveries
from towpath.hub.hub import Hub
from towpath.hub.settle import Settle
from towpath.store import Store
from towpath.telemetry.metrics import Metrics


@pytest.fixture
async def running() -> AsyncGenerator[RunningHub, None]:
    settle = Settle(quiet=0, longest=0, clock=time.monotonic)
    store = Store(mesh_name="osm", osm_namespace="osm-system", on_change=settle.touch)
    metrics = Metrics()
    ticks: Callable[[], float] = iter(range(1_000_000)).__next__
    hub = Hub(
        store,
        settle,
        deliveries=Deliveries(clock=ticks),
        metrics=metrics,
        clock=time.monotonic,
    )
    following = asyncio.ensure_future(hub.run())
    yield RunningHub(hub, store, metrics)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
