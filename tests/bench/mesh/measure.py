"""A mesh of one size measured in this process: the hub, sessions and streams of a server, without
gRPC.
"""

from __future__ import annotations

import asyncio
import gc
import re
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bench.mesh.picture import Picture, Size
from bench.mesh.sidecar import TYPES, Fleet, Sidecar
from towpath.access import Gate
from towpath.app.grpc_server import LARGEST, RULES
from towpath.garbage import GarbageCollection
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.model.names import Kind
from towpath.rollout.records import StreamRecords
from towpath.settings import DebounceSettings, MeshSettings, RolloutSettings, StreamLimits
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath.xds.service import SERVICE, AdsService

QUIET_S = 0.5
"""How long nothing may come before a change counts as over."""

LIMITS = StreamLimits(
    max_streams=1_000_000,
    max_streams_per_peer=1_000_000,
    unknown_pod_wait=600.0,
    opening_budget=3600.0,
)


@dataclass(frozen=True)
class Figures:
    """Of one change: the server's CPU for each sidecar that is sent something and for the change as
    a whole, in milliseconds; how long it took until the last one had all of it; the longest turn of
    the event loop, in milliseconds of its CPU; responses for each sidecar, and their KB; how many
    sidecars were sent something.
    """

    cpu_ms: float
    total_ms: float
    last_s: float
    hold_ms: float
    responses: float
    kb: float
    sidecars: float


class TurnSelector(selectors.DefaultSelector):
    """Notes the longest turn of an event loop, from when it has something to do until it waits: the
    server's part of it, without what the *fleet* takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()
        self.longest_s = 0.0
        self._began: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._began is not None:
            self.longest_s = max(self.longest_s, self._server_s() - self._began)
        ready = super().select(timeout)
        self._began = self._server_s()
        return ready

    def _server_s(self) -> float:
        return time.thread_time() - self.fleet.cpu_s


class Server:
    """All of a server but gRPC, and its sidecars."""

    def __init__(
        self,
        size: Size,
        *,
        delta: bool,
        selector: TurnSelector,
        picture: type[Picture] = Picture,
        plaintext: bool = True,
    ) -> None:
        self.size, self.delta = size, delta
        self._selector = selector
        self.fleet = selector.fleet
        settings = DebounceSettings()
        debounce = Debounce(
            quiet=settings.settle_quiet, longest=settings.settle_max, clock=time.monotonic
        )
        self.store = Store(MeshSettings().scope, on_change=debounce.touch)
        self.picture = picture(size, self.store)
        metrics = Metrics()
        self.hub = Hub(
            self.store,
            debounce,
            records=StreamRecords(clock=time.time),
            metrics=metrics,
            clock=time.monotonic,
            rollout=RolloutSettings(),
        )
        gate = Gate(
            RULES,
            plaintext=plaintext,
            trust_domain="cluster.local",
            people=frozenset(),
            metrics=metrics,
            largest=LARGEST,
        )
        ads = AdsService(
            self.hub,
            gate=gate,
            metrics=metrics,
            clock=time.monotonic,
            limits=LIMITS,
            identifier="towpath/bench",
        )
        method = "DeltaAggregatedResources" if delta else "StreamAggregatedResources"
        self._serve = _behaviour(ads, f"/{SERVICE}/{method}")
        self._tasks: list[asyncio.Task[Any]] = []
        self._failures: list[BaseException] = []

    async def start(self) -> None:
        """Read the mesh."""
        self.picture.fill()
        for kind in Kind:
            self.store.listed(kind)
        self._tasks.append(asyncio.create_task(self.hub.run()))
        garbage = GarbageCollection(self.hub.records)
        self._tasks.append(asyncio.create_task(garbage.run()))
        while not self.hub.ready:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def connect(self) -> None:
        """All sidecars at once: they are handed over as grpc.aio does it, one call in a turn."""
        self._tasks.append(asyncio.create_task(self._connect()))

    async def _connect(self) -> None:
        for number in range(self.size.sidecars):
            wants = frozenset(self.picture.service_names(number)) if self.size.names else None
            node_id = str(self.picture.sidecar(number))
            login = self.picture.login(number)
            sidecar = Sidecar(
                node_id,
                self.fleet,
                delta=self.delta,
                wants=wants,
                login=login,
                routes=self.picture.routes,
            )
            serving = asyncio.create_task(self._serve(sidecar.requests(), sidecar))
            serving.add_done_callback(self._note_failure)
            self._tasks.append(serving)
            await asyncio.sleep(0)

    def _note_failure(self, serving: asyncio.Task[Any]) -> None:
        if not serving.cancelled() and (error := serving.exception()) is not None:
            self._failures.append(error)

    async def measure(self, change: Callable[[], None], *, least: int) -> Figures:
        """Make a change, and wait until at least so many responses were sent, and no more come."""
        gc.collect()
        self.fleet.expect()
        await asyncio.sleep(0)
        self._selector.longest_s = 0.0
        began, cpu_began = time.monotonic(), time.process_time()
        change()
        fleet = self.fleet
        while fleet.responses < least or time.monotonic() - fleet.last_at < QUIET_S:
            await asyncio.sleep(QUIET_S / 5)
            if self._failures:
                raise self._failures[0]
        cpu_s = time.process_time() - cpu_began
        count = max(len(fleet.sidecars), 1)
        server_ms = (cpu_s - fleet.cpu_s) * 1000
        return Figures(
            server_ms / count,
            server_ms,
            fleet.last_at - began,
            self._selector.longest_s * 1000,
            fleet.responses / count,
            fleet.bytes / count / 1000,
            len(fleet.sidecars),
        )


def run(
    size: Size, *, delta: bool, rounds: int, picture: type[Picture] = Picture
) -> tuple[dict[str, list[Figures]], float, float]:
    """Connect, then each change *rounds* times: figures by name, KiB of memory a stream, and MiB
    that the objects of the mesh take.
    """
    selector = TurnSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        server = Server(size, delta=delta, selector=selector, picture=picture)
        return runner.run(_run(server, size, rounds=rounds))


async def _run(
    server: Server, size: Size, *, rounds: int
) -> tuple[dict[str, list[Figures]], float, float]:
    empty = rss_kib()
    await server.start()
    before = rss_kib()
    figures = {"connect": [await server.measure(server.connect, least=len(TYPES) * size.sidecars)]}
    gc.collect()
    stream_kib = (rss_kib() - before) / size.sidecars
    for change in server.picture.changes:
        # The first makes what is remembered afterwards.
        each = [
            await server.measure(change.make, least=change.responses) for _ in range(rounds + 1)
        ]
        figures[change.name] = each[1:]
    await server.stop()
    return figures, stream_kib, (before - empty) / 1024


def rss_kib() -> int:
    """What the process holds of memory."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


class _Call(grpc.HandlerCallDetails):
    """What a server says of a call before it has a handler."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


def _behaviour(ads: AdsService, method: str) -> Callable[..., Any]:
    """What is called for each stream of a method."""
    handlers = (handler.service(_Call(method)) for handler in ads.handlers())
    (behaviour,) = [one.stream_stream for one in handlers if one and one.stream_stream]
    return behaviour
