"""Streams that are opened again and again: what the first costs, and each of a hundred more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bench.hostile.row import Row
from support.objects import endpoint_slice, mesh_config, namespace, pod, service
from support.running_hub import RunningHub, running_hub
from towpath.model.mesh import Object
from towpath.model.names import ClientKind, SidecarId

SERVICES, AGAIN = 5_000, 100


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    async with running_hub() as running:
        await running.holds(*_mesh())
        return [
            Row(
                f"{AGAIN} reconnects of a {kind} client, {SERVICES:,} services",
                await _cost(running, kind),
                "remembered for a minute; --opening-budget of the account",
            )
            for kind in ClientKind
        ]


def _mesh() -> Iterator[Object]:
    yield from (namespace(), mesh_config(), pod("curl", app="curl"))
    for n in range(SERVICES):
        address = f"10.{100 + n // 60_000}.{n // 250 % 250}.{n % 250 + 1}"
        yield service(f"s{n}", ips=(f"10.96.{n // 250}.{n % 250 + 1}",))
        yield endpoint_slice(f"s{n}", address)


async def _cost(running: RunningHub, kind: ClientKind) -> str:
    first = await _seconds(running, kind)
    again = sum([await _seconds(running, kind) for _ in range(AGAIN)])
    return f"{first:.2f} s of CPU, and {again:.2f} s for all of them"


async def _seconds(running: RunningHub, kind: ClientKind) -> float:
    began = time.process_time()
    stream = running.hub.attach(
        peer="test",
        node_id="curl.shop",
        sidecar=SidecarId(pod="curl", namespace="shop"),
        kind=kind,
        variant="sotw",
        subscriber=None,
    )
    await stream.next()
    running.hub.detach(stream)
    return time.process_time() - began
