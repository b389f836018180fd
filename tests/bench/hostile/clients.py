"""What clients say of themselves: what is left of them when they are gone."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from bench.hostile.row import Row
from support.fake_time import Clock
from support.objects import mesh_config, namespace, pod, service
from support.resources import resource
from support.running_hub import running_hub
from towpath.model.names import ClientKind
from towpath.model.types import CLUSTER
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import MOST_BUILDS, Quarantine
from towpath.settings import RolloutSettings, StreamLimits
from towpath.xds.messages import ProtocolError
from towpath.xds.parse import parse_sotw

NODE_ID_MIB, AGENTS, SERVICES, NODES = 31, 200, 5_000, 20_000


def measure() -> list[Row]:
    return [
        Row(f"8 node ids of {NODE_ID_MIB} MiB", _left(_node_ids), "317 characters"),
        Row(
            f"{AGENTS} user agents in a mesh of {SERVICES:,} services",
            _left(_agents),
            f"{MOST_BUILDS} versions of clients are told apart",
        ),
        Row(
            f"{NODES:,} invented node ids",
            asyncio.run(_invented()),
            "nothing is kept of who is no pod of its account",
        ),
    ]


def _left(attack: Callable[[], object]) -> str:
    """What is still there behind an attack whose result is held."""
    gc.collect()
    tracemalloc.start()
    try:
        result = attack()
        gc.collect()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del result
    return f"{left / 2**20:.1f} MiB left, {peak / 2**20:.0f} MiB at most"


def _node_ids() -> None:
    for _ in range(8):
        request = DiscoveryRequest(type_url=CLUSTER)
        request.node.id = "x" * (NODE_ID_MIB << 20)
        try:
            parse_sotw(request.SerializeToString(), StreamLimits())
        except ProtocolError:
            continue


class _Stream:
    def nudge(self) -> None:
        """Nobody listens."""


def _agents() -> Quarantine:
    quarantine = Quarantine(RolloutSettings(), clock=Clock())
    held = {f"c{n}": resource(CLUSTER, f"c{n}", "1") for n in range(SERVICES)}
    for n in range(AGENTS):
        client = quarantine.client("curl.shop", ClientBuild(ClientKind.ENVOY, f"invented {n}"))
        stream = _Stream()
        client.open(stream)
        client.accepted(CLUSTER, held)
        quarantine.close(client, stream)
    return quarantine


async def _invented() -> str:
    async with running_hub() as running:
        await running.holds(namespace(), mesh_config(), service(), pod())
        for n in range(NODES):
            running.hub.detach(running.attach(f"invented-{n}"))
        kept = len(running.hub.quarantine._clients) + len(running.hub._followers._left)
        return f"{kept} records kept, {running.hub.query_counts.remembered} answers"
