"""A way into a namespace for a client that makes its own sockets, gRPC's for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from support.dataplane.netns import Namespace


@asynccontextmanager
async def relay(namespace: Namespace, host: str, port: int) -> AsyncIterator[str]:
    """Listen on loopback outside and pass connections on to *host*:*port* as seen inside.

    Yields the address to dial, as `host:port`.
    """
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _join(namespace, (host, port), reader, writer)
        writer.transport.abort()
        running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        here = server.sockets[0].getsockname()
        yield f"{here[0]}:{here[1]}"
    finally:
        server.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(set(running))


async def _join(
    namespace: Namespace,
    address: tuple[str, int],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Pass bytes both ways until one side ends."""
    inside_reader, inside_writer = await namespace.open_connection(*address)
    ways = [
        asyncio.create_task(_copy(reader, inside_writer)),
        asyncio.create_task(_copy(inside_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        inside_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
