"""Versions that are said, not made: what stands between a runner that compares labels and a server
whose versions are hashes.

A state is published under a label; responses pass through here, and say the label of their type in
place of the version. Nothing else about them changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from google.protobuf.message import Message

from support.xds import adapter
from support.xds.client import OPTIONS
from support.xds.target import Adapter
from support.xds.towpath_target import towpath_target
from support.xds.types import AGGREGATED, OWN, TYPES


class Labelled:
    """An adapter that notes each node's labels, and has another do what is asked.

    *grace*, in seconds, is given to what a runner said on its stream just before: it comes by
    another connection, and the public harness does not wait until it has arrived.
    """

    def __init__(self, inner: Adapter, *, grace: float = 0) -> None:
        self._inner = inner
        self._grace = grace
        self._labels: dict[str, dict[str, str]] = {}

    def of(self, node: str, type_url: str) -> str:
        return self._labels.get(node, {}).get(type_url, "")

    async def set_state(self, node: str, version: str, resources: Sequence[Message]) -> None:
        self._labels[node] = dict.fromkeys(TYPES, version)
        await self._inner.set_state(node, version, resources)

    async def clear_state(self, node: str) -> None:
        await self._inner.clear_state(node)
        self._labels.pop(node, None)

    async def update_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        await asyncio.sleep(self._grace)
        self._labels.setdefault(node, {})[type_url] = version
        await self._inner.update_resource(node, type_url, name, version)

    async def add_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        self._labels.setdefault(node, {})[type_url] = version
        await self._inner.add_resource(node, type_url, name, version)

    async def remove_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        await self._inner.remove_resource(node, type_url, name, version)


class Relay:
    """Hands each stream on to the server at the other end of *channel*."""

    def __init__(self, channel: grpc.aio.Channel, labels: Labelled) -> None:
        self._channel = channel
        self._labels = labels

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        served: dict[str, dict[str, Any]] = {}
        for methods in (AGGREGATED, *OWN.values()):
            for path, request, response, field in (
                (methods.sotw, DiscoveryRequest, DiscoveryResponse, "version_info"),
                (
                    methods.delta,
                    DeltaDiscoveryRequest,
                    DeltaDiscoveryResponse,
                    "system_version_info",
                ),
            ):
                service, method = path.removeprefix("/").split("/")
                served.setdefault(service, {})[method] = grpc.stream_stream_rpc_method_handler(
                    self._method(path, request, response, field)
                )
        return tuple(
            grpc.method_handlers_generic_handler(service, methods)
            for service, methods in served.items()
        )

    def _method(self, path: str, request: Any, response: Any, field: str) -> Any:
        async def serve(
            requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
        ) -> None:
            call: Any = self._channel.stream_stream(path)()
            node: list[str] = []

            async def pass_on() -> None:
                async for data in requests:
                    node.append(request.FromString(data).node.id)
                    await call.write(data)
                await call.done_writing()

            passing = asyncio.create_task(pass_on())
            try:
                while (data := await call.read()) is not grpc.aio.EOF:
                    message = response.FromString(data)
                    setattr(message, field, self._labels.of(node[0], message.type_url))
                    await context.write(message.SerializeToString())
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")
            finally:
                passing.cancel()
                call.cancel()
                await asyncio.gather(passing, return_exceptions=True)

        return serve


@contextlib.asynccontextmanager
async def labelled_towpath(
    folder: Path, *, xds: str, adapter_at: str, grace: float = 0
) -> AsyncIterator[None]:
    """Towpath as the public harness wants it: xDS on one address, its adapter on another."""
    async with (
        towpath_target(folder) as target,
        grpc.aio.insecure_channel(target.address, OPTIONS) as channel,
    ):
        labels = Labelled(target.adapter, grace=grace)
        front, side = grpc.aio.server(options=OPTIONS), grpc.aio.server()
        front.add_generic_rpc_handlers(Relay(channel, labels).handlers())
        side.add_generic_rpc_handlers((adapter.handler(labels),))
        front.add_insecure_port(xds)
        side.add_insecure_port(adapter_at)
        await asyncio.gather(front.start(), side.start())
        try:
            yield
        finally:
            await asyncio.gather(front.stop(None), side.stop(None))
