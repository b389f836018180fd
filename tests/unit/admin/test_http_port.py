"""The HTTP port under those who want it for themselves: who asks is answered all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from support.samples import sample
from towpath.admin.http_port import MOST_CONNECTIONS, http_port
from towpath.telemetry.metrics import Metrics

WITHIN_S = 30.0
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Port:
    """A page `/alive` on a port of loopback."""

    def __init__(self, port: int, metrics: Metrics) -> None:
        self._port = port
        self.metrics = metrics
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, said: bytes = b"") -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(said)
        return reader, writer

    async def ask(self, said: bytes) -> bytes:
        """All that is answered until the server closes."""
        reader, _ = await self.connect(said)
        async with asyncio.timeout(WITHIN_S):
            return await reader.read()

    async def status(self) -> bytes:
        answer = await self.ask(b"GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return answer.partition(b"\r\n")[0]

    def ended(self, reason: str) -> float:
        return sample(self.metrics, "towpath_connections_ended_total", port="http", reason=reason)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def _port(*, request_wait_s: float = 60.0) -> AsyncIterator[Port]:
    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    application, metrics = web.Application(), Metrics()
    application.router.add_get("/alive", alive)
    async with http_port(
        application, "127.0.0.1:0", metrics=metrics, request_wait_s=request_wait_s
    ) as server:
        port = Port(server.sockets[0].getsockname()[1], metrics)
        try:
            yield port
        finally:
            await port.close()


async def _is_ended(peer: Peer) -> bool:
    try:
        async with asyncio.timeout(WITHIN_S):
            return b"" == await peer[0].read()
    except ConnectionResetError:
        return True


async def test_whoever_holds_all_connections_loses_the_oldest_to_who_asks() -> None:
    async with _port() as port:
        silent = [await port.connect() for _ in range(MOST_CONNECTIONS)]
        answers = {await port.status() for _ in range(3)}

        assert {b"HTTP/1.1 200 OK"} == answers
        assert [True] * 1 == [await _is_ended(peer) for peer in silent[:1]]
        assert 1 <= port.ended("crowd") <= 3


async def test_a_request_that_trickles_in_has_a_deadline() -> None:
    async with _port(request_wait_s=0.2) as port:
        slow = await port.connect(b"GET /alive HTTP/1.1\r\nHost: a\r\n")

        async def trickle() -> None:
            with contextlib.suppress(OSError):
                while True:
                    slow[1].write(b"X: y\r\n")
                    await slow[1].drain()
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        ended = await _is_ended(slow)
        trickling.cancel()
        await asyncio.wait({trickling})

        assert ended
        assert b"HTTP/1.1 200 OK" == await port.status()


@pytest.mark.parametrize(
    "said",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
        b"GET /alive HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /alive HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /alive HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\r\n\0\xff\xfe\r\n\r\n",
    ],
    ids=["http2", "tls", "version", "path", "header", "length", "bytes"],
)
async def test_what_is_no_http_request_is_answered_and_counted_without_a_traceback(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with _port() as port:
        answer = await port.ask(said)

        assert answer.splitlines()[0].endswith(b" 400 Bad Request")
        assert 1 == port.ended("malformed")
        assert [] == [record for record in caplog.records if record.exc_info]
        assert b"HTTP/1.1 200 OK" == await port.status()
