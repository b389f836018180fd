"""A status writer in a time of its own: what it is given to write, and what reached the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from support.fake_time import Now, run_in_fake_time
from support.objects import egress, mesh_of
from support.written_api import WrittenApi
from towpath.answers.status import Counts, PolicyStatus
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.kubeapi.client import KubeApi
from towpath.kubeapi.lease import Lease
from towpath.model.codes import Code
from towpath.model.mesh import Mesh
from towpath.model.names import ObjectRef, Stamp
from towpath.model.problem import Problem
from towpath.status import StatusWriter
from towpath.status.reports import Reports
from towpath.telemetry.metrics import Metrics

R = TypeVar("R")


@dataclass
class Given:
    """Plays the hub and the lease: what there is to write, and whether it is ours to write."""

    statuses: dict[str, PolicyStatus] = field(default_factory=dict)
    told: list[Problem] = field(default_factory=list)
    held: bool = True
    full_name: str = "osm-system/towpath-status"
    ready: bool = True
    computed: int = 0

    @property
    def mesh(self) -> Mesh:
        return mesh_of(
            *(replace(egress(name), stamp=status.stamp) for name, status in self.statuses.items())
        )

    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.told)

    def policies(self) -> tuple[PolicyStatus, ...]:
        self.computed += 1
        return tuple(self.statuses.values())

    async def in_turn(self, call: Callable[[], R]) -> R:
        return call()

    async def run(self) -> None:
        await asyncio.Event().wait()

    def policy(self, name: str, counts: Counts = Counts(), *, accepted: bool = True) -> None:  # noqa: B008
        ref = ObjectRef("Egress", "shop", name)
        self.statuses[name] = PolicyStatus(ref, Stamp(f"uid-{name}", 1), accepted, (), counts)

    def problem(self, name: str, message: str = "gone") -> None:
        ref = ObjectRef("Egress", "shop", name)
        self.told.append(Problem(ref, "spec.matches", Code.MISSING_ROUTE, message))


@dataclass
class Written:
    """A writer at work on `given`, and what reached the API."""

    given: Given
    api: WrittenApi
    status_debounce: Debounce
    metrics: Metrics

    async def after(self, seconds: float) -> list[str]:
        """Tell it of news, wait, and name the objects whose status was written meanwhile."""
        before = len(self.api.written())
        self.status_debounce.touch()
        await asyncio.sleep(seconds)
        return [body["metadata"]["name"] for body in self.api.written()[before:]]

    def counted(self, kind: str, result: str) -> float | None:
        """The metric of writes."""
        labels = {"kind": kind, "result": result}
        return self.metrics.registry.get_sample_value("towpath_status_writes_total", labels)

    def conditions(self, name: str) -> dict[str, str]:
        """What was written last of a policy's conditions."""
        bodies = [b for b in self.api.written() if b["metadata"]["name"] == name]
        return {c["type"]: c["status"] for c in bodies[-1]["status"]["conditions"]}


@asynccontextmanager
async def writing(clock: Now, given: Given, api: WrittenApi) -> AsyncIterator[Written]:
    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    debounce, metrics = Debounce(quiet=0.5, longest=2.0, clock=clock), Metrics()
    door = cast("KubeApi", api)
    writer = StatusWriter(
        cast("Hub", given),
        door,
        lease=cast("Lease", given),
        reports=Reports(door, namespace="osm-system", identity="me", clock=clock, now=now),
        status_debounce=debounce,
        identity="me",
        metrics=metrics,
        clock=clock,
        now=now,
    )
    running = asyncio.create_task(writer.run())
    try:
        yield Written(given, api, debounce, metrics)
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.wait([running])


def scenario(
    test: Callable[[Written], Any], *, given: Given | None = None, api: WrittenApi | None = None
) -> None:
    """Run *test* against a writer, in a time of its own."""

    async def run(clock: Now) -> None:
        async with writing(clock, given or Given(), api or WrittenApi()) as written:
            await test(written)

    run_in_fake_time(run)
