"""What happens to connections: a server that dies, a client that dies, a network that is silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.xds.client import sotw
from support.xds.process import NODE, ServerProcess
from support.xds.sidecar import sidecar, steady
from support.xds.types import CLUSTER, LISTENER

MIB = 1 << 20


class Link:
    """A TCP relay that can be cut, or go silent, as networks do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._silent = False
        self._open: list[asyncio.StreamWriter] = []
        self.passed = 0  # bytes from the server
        self.address = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Link]:
        link = cls(port)
        serving = await asyncio.start_server(link._connect, "127.0.0.1", 0)
        link.address = f"127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        try:
            yield link
        finally:
            serving.close()
            link.cut()

    def go_silent(self) -> None:
        """Pass nothing on from now, in neither direction, and tell nobody."""
        self._silent = True

    def cut(self) -> None:
        """Reset every connection, at both ends."""
        for writer in self._open:
            held: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._open.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._open += [writer, far_writer]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._silent:
                continue
            writer.write(data)
            await writer.drain()
            self.passed += len(data)


async def test_a_server_killed_and_started_again_under_load(tmp_path: Path) -> None:
    """Thirty sidecars, and changes that do not stop: all are correct afterwards."""
    server = ServerProcess(tmp_path)
    server.start()
    async with contextlib.AsyncExitStack() as held:
        held.callback(server.stop)
        sidecars = [await held.enter_async_context(sidecar(server.address)) for _ in range(30)]
        for one in sidecars:
            await one.correct(await server.versions())
        for _ in range(2):
            changing = asyncio.create_task(_keep_changing(server))
            await asyncio.sleep(0)
            server.kill()
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            server.switch()
            await asyncio.to_thread(server.start)
            versions = await server.versions()
            for one in sidecars:
                await one.correct(versions)
        versions = await server.changed()
        for one in sidecars:
            await one.correct(versions)


async def _keep_changing(server: ServerProcess) -> None:
    while True:
        await server.changed()


@pytest.fixture
def options() -> tuple[str, ...]:
    """What the server is told beside the defaults."""
    return ()


@pytest.fixture
async def served(tmp_path: Path, options: tuple[str, ...]) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(tmp_path, *options)
    server.listen_on_tcp()
    await asyncio.to_thread(server.start)
    yield server
    server.stop()


async def test_a_client_killed_while_a_response_is_written(served: ServerProcess) -> None:
    async with sidecar(served.address) as witness:
        await witness.correct(await served.versions())
        before = served.resident()
        for round_ in range(3):
            async with Link.to(served.tcp_port) as link:
                for _ in range(20):
                    # It does not read: the server stands in the middle of its response.
                    async with sotw(link.address, NODE, reads=False) as client:
                        passed = link.passed
                        await client.ask(LISTENER)
                        async with asyncio.timeout(30):
                            while link.passed - passed < 50_000:
                                await asyncio.sleep(0.005)
                        link.cut()
            await witness.correct(await served.changed())
            if round_ == 0:
                before = served.resident()
        await _one_stream_is_left(served)
        await steady(served, before, allowed=12 * MIB)


@pytest.mark.parametrize("options", [("--keepalive-time", "1", "--keepalive-timeout", "3")])
async def test_a_network_that_goes_silent(served: ServerProcess) -> None:
    """Half-open: the server finds out by its keepalive, and forgets the streams."""
    async with sidecar(served.address) as witness, Link.to(served.tcp_port) as link:
        await witness.correct(await served.versions())
        async with contextlib.AsyncExitStack() as held:
            for _ in range(10):
                client = await held.enter_async_context(sotw(link.address, NODE))
                await client.ask(CLUSTER)
                await client.hear()
            assert served.metric("towpath_connected_sidecars") == 11
            link.go_silent()
            await witness.correct(await served.changed())
            await _one_stream_is_left(served)
            await witness.correct(await served.changed())


async def _one_stream_is_left(served: ServerProcess, *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        while served.metric("towpath_connected_sidecars") != 1:
            await asyncio.sleep(0.05)
