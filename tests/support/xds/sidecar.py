"""A sidecar that follows a server as Envoy does, as far as its configuration goes: SotW on ADS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from support.xds.client import SotwClient, sotw
from support.xds.process import NODE, ServerProcess
from support.xds.stream import StreamEnded
from support.xds.told import Told
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

WITHIN_S = 60.0


class Sidecar:
    """What one sidecar holds: contents by type and name, and the version of each type."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.held: dict[str, dict[str, bytes]] = {}
        self.wanted: dict[str, set[str]] = {ENDPOINTS: set(), ROUTES: set()}
        self.responses = 0

    async def follow(self, client: SotwClient) -> None:
        """Ask, accept and ask for what that leads to, until the stream ends."""
        client.accepted = dict(self.versions)
        for type_url in (CLUSTER, LISTENER):
            await client.ask(type_url)
        for type_url, names in self.wanted.items():
            if names:
                await client.ask(type_url, *sorted(names))
        while True:
            response = await client.hear(within=3600)
            self._take(response)
            await client.ack(response)
            for type_url, names in self._refers_to(response):
                if names != self.wanted[type_url]:
                    self.wanted[type_url] = names
                    await client.ask(type_url, *sorted(names))

    async def correct(self, versions: dict[str, str]) -> None:
        """Wait until this sidecar holds just what those versions are of."""
        async with asyncio.timeout(WITHIN_S):
            while not self._holds(versions):
                await asyncio.sleep(0.01)

    def _holds(self, versions: dict[str, str]) -> bool:
        return all(self.versions.get(t) == versions[t] for t in (CLUSTER, LISTENER)) and all(
            names <= self.held.get(type_url, {}).keys() for type_url, names in self.wanted.items()
        )

    def _take(self, response: Told[bytes]) -> None:
        self.responses += 1
        self.versions[response.type_url] = response.version
        versions = (
            {} if response.type_url in (CLUSTER, LISTENER) else self.held.get(response.type_url, {})
        )
        self.held[response.type_url] = {**versions, **response.contents}

    def _refers_to(self, response: Told[bytes]) -> Iterator[tuple[str, set[str]]]:
        if response.type_url == CLUSTER:
            parsed: list[Any] = [Cluster.FromString(body) for body in response.contents.values()]
            yield ENDPOINTS, {c.name for c in parsed if c.type == Cluster.EDS}
        if response.type_url == LISTENER:
            listeners = [Listener.FromString(body) for body in response.contents.values()]
            yield ROUTES, {name for listener in listeners for name in _routes_of(listener)}


def _routes_of(listener: Any) -> Iterator[str]:
    """Names of the route configurations that a listener's chains use."""
    for chain in listener.filter_chains:
        for used in chain.filters:
            manager: Any = hcm.HttpConnectionManager()
            if used.typed_config.Unpack(manager) and manager.HasField("rds"):
                yield manager.rds.route_config_name


@contextlib.asynccontextmanager
async def sidecar(address: str) -> AsyncIterator[Sidecar]:
    """A sidecar that is connected, and connects again when its stream ends."""
    one = Sidecar()
    following = asyncio.create_task(_stay_connected(one, address))
    try:
        yield one
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _stay_connected(one: Sidecar, address: str) -> None:
    while True:
        with contextlib.suppress(StreamEnded):
            async with sotw(address, NODE, agent="envoy") as client:
                await one.follow(client)
        await asyncio.sleep(0.05)


async def steady(server: ServerProcess, before: int, *, allowed: int) -> None:
    """Wait until the server holds no more than *allowed* bytes more than *before*."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while server.resident() - before > allowed:
                await asyncio.sleep(0.05)
    except TimeoutError:
        grown = server.resident() - before
        raise AssertionError(f"{grown:,} bytes more than before are held") from None
