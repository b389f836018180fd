"""One stream of the protocol over gRPC: bytes in, bytes out, and the status it ends with.

All that speaks xDS to a real port in tests speaks through this; only the client library's own
tests, and gRPC's clients, have another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

WITHIN_S = 30.0


class StreamEnded(AssertionError):
    """The server ended a stream on which a response was awaited."""


class Stream:
    """Requests and responses as bytes. It reads when a test hears, and else leaves it to gRPC to
    tell the server to wait.
    """

    def __init__(
        self, channel: grpc.aio.Channel, method: str, *, metadata: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._call: Any = channel.stream_stream(method)(metadata=tuple(metadata))

    async def say_bytes(self, data: bytes) -> None:
        """Send bytes; that the stream has ended is found out by hearing, or by its status."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.write(data)

    async def hear_bytes(self, *, within: float = WITHIN_S) -> bytes:
        """The next response; a stream that has ended fails the test with its status."""
        data = await asyncio.wait_for(self._read(), within)
        if data is None:
            raise StreamEnded(f"the stream ended: {await self.status()}")
        return data

    async def _read(self) -> bytes | None:
        """The next response; None at the stream's end."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            data = await self._call.read()
            return data if isinstance(data, bytes) else None
        return None

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """The status that the stream ended with; responses before it are passed over."""
        async with asyncio.timeout(WITHIN_S):
            return await self._call.code(), await self._call.details() or ""


class RawStream(Stream):
    """A stream on which a test writes each message itself, and reads it as it came."""

    async def say(self, type_url: str, *, node: str = "curl.curl", **fields: object) -> None:
        request = DiscoveryRequest(node=Node(id=node), type_url=type_url, **fields)
        await self.say_bytes(request.SerializeToString())

    async def hear(self, *, within: float = WITHIN_S) -> DiscoveryResponse:
        return DiscoveryResponse.FromString(await self.hear_bytes(within=within))

    async def silent_for(self, seconds: float) -> bool:
        """True if the server says nothing for so long."""
        with contextlib.suppress(TimeoutError):
            await self.hear_bytes(within=seconds)
            return False
        return True

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Pass over at most one response, and give the status that the server ends with."""
        await asyncio.wait_for(self._read(), WITHIN_S)
        return await self.status()
