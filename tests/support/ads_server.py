"""A control plane that a test plays by hand: it sees every request and says every answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.any_pb2 import Any as AnyMessage

DEADLINE_S = 30.0


class ServerStream:
    """One client's stream; requests and responses are the messages of its mode.

    It ends when the client says no more, unless it is to *linger*.
    """

    def __init__(
        self, mode: str, metadata: Mapping[str, str], peer_ids: tuple[str, ...], *, linger: bool
    ) -> None:
        self.mode = mode
        self._linger = linger
        self.metadata = metadata
        self.peer_ids = peer_ids
        self.closed = asyncio.Event()
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        self._responses: asyncio.Queue[Any] = asyncio.Queue()

    async def request(self) -> Any:
        """The next request of the client."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._requests.get()

    def unread(self) -> int:
        """How many requests have come that were not looked at."""
        return self._requests.qsize()

    def respond(self, response: Any) -> None:
        """Send a response."""
        self._responses.put_nowait(response)

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, details: str = "") -> None:
        """End the stream with a status, after the responses before it."""
        self._responses.put_nowait((code, details))

    async def wait_closed(self) -> None:
        """Wait until the stream is over, whoever ended it."""
        async with asyncio.timeout(DEADLINE_S):
            await self.closed.wait()

    async def play(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        reader = asyncio.create_task(self._listen(requests))
        try:
            while True:
                response = await self._responses.get()
                if isinstance(response, tuple):
                    code, details = response
                    if code is not grpc.StatusCode.OK:
                        await context.abort(code, details)
                    return
                yield response
        finally:
            reader.cancel()
            self.closed.set()

    async def _listen(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            self._requests.put_nowait(request)
        if not self._linger:
            self.end()


class ScriptedServer:
    """Accepts streams of both modes and hands them to the test in order."""

    def __init__(self) -> None:
        self.address = ""
        self.linger = False
        self._streams: asyncio.Queue[ServerStream] = asyncio.Queue()

    async def stream(self) -> ServerStream:
        """The next stream that a client opened; it must come within the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.next_stream()

    async def next_stream(self) -> ServerStream:
        """The next stream that a client opened, however long that takes."""
        return await self._streams.get()

    async def StreamAggregatedResources(  # noqa: N802 (the name is the protocol's)
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        async for response in self._accept("sotw", context).play(requests, context):
            yield response

    async def DeltaAggregatedResources(  # noqa: N802 (the name is the protocol's)
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        async for response in self._accept("delta", context).play(requests, context):
            yield response

    def _accept(self, mode: str, context: grpc.aio.ServicerContext[Any, Any]) -> ServerStream:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        # grpc.aio gives lists of bytes here; the stubs describe grpc's other server.
        shown = context.auth_context().get("peer_spiffe_id", ())
        stream = ServerStream(
            mode, metadata, tuple(one.decode() for one in shown), linger=self.linger
        )
        self._streams.put_nowait(stream)
        return stream


@asynccontextmanager
async def scripted_server(
    address: str = "127.0.0.1:0", *, credentials: grpc.ServerCredentials | None = None
) -> AsyncGenerator[ScriptedServer, None]:
    """Serve on *address*, in plaintext without *credentials*; port 0 takes a free one."""
    script = ScriptedServer()
    server = grpc.aio.server()
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(script, server)
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    script.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield script
    finally:
        await server.stop(None)


@asynccontextmanager
async def refusing(
    server: ScriptedServer, code: grpc.StatusCode, details: str
) -> AsyncGenerator[None, None]:
    """End every stream that comes with this status.

    More than one can come: what grpc.aio tells the client of a stream that ended while a request
    was being written may be INTERNAL, which a client tries again.
    """

    async def refuse() -> None:
        while True:
            (await server.next_stream()).end(code, details)

    task = asyncio.create_task(refuse())
    try:
        yield
    finally:
        task.cancel()


def packed(type_url: str, name: str, payload: str = "") -> AnyMessage:
    """A resource whose field 1 is *name*, and whose field 15 is *payload*."""
    value = b"\x0a" + bytes([len(name)]) + name.encode()
    if payload:
        value += b"\x7a" + bytes([len(payload)]) + payload.encode()
    return AnyMessage(type_url=type_url, value=value)


def sotw(type_url: str, version: str, resources: Mapping[str, str], *, nonce: str) -> Any:
    """A state-of-the-world response; *resources* are payloads by name."""
    return discovery.DiscoveryResponse(
        type_url=type_url,
        version_info=version,
        nonce=nonce,
        resources=[packed(type_url, name, payload) for name, payload in resources.items()],
    )


def delta(
    type_url: str,
    resources: Mapping[str, str],
    *,
    nonce: str,
    removed: Sequence[str] = (),
    errors: Mapping[str, tuple[int, str]] | None = None,
) -> Any:
    """A delta response; *resources* are versions by name, and the payload is the version."""
    response = discovery.DeltaDiscoveryResponse(
        type_url=type_url,
        nonce=nonce,
        removed_resources=removed,
        resources=[
            discovery.Resource(name=name, version=version, resource=packed(type_url, name, version))
            for name, version in resources.items()
        ],
    )
    for name, (code, message) in (errors or {}).items():
        fault = response.resource_errors.add()
        fault.resource_name.name = name
        fault.error_detail.code, fault.error_detail.message = code, message
    return response
