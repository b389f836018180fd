"""The HTTP port: few connections at a time, each of which has to ask soon.

Nothing is asked of who connects, so nothing may be had for good: who comes last is served, and who
has been there longest, of the address that has most, makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from towpath.settings import split_address
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

REQUEST_WAIT_S = 10.0
"""How long a connection may be without a whole request, at first and between two."""
STOP_S = 1.0
"""How long an answer that is under way at the end may take."""
MOST_CONNECTIONS = 64
LONGEST_LINE = 4096
"""Bytes of a request's line, or of one header."""
TLS_WAIT_S = 5.0
"""How long a TLS handshake may take."""


@dataclass(frozen=True, slots=True)
class PortName:
    """What a port is called in metrics, and by which flag its address is set."""

    metric: str
    flag: str


HTTP = PortName("http", "--http-address")


@contextlib.asynccontextmanager
async def http_port(
    application: web.Application,
    address: str,
    *,
    metrics: Metrics,
    name: PortName = HTTP,
    tls: ssl.SSLContext | None = None,
    most_connections: int = MOST_CONNECTIONS,
    request_wait_s: float = REQUEST_WAIT_S,
) -> AsyncIterator[asyncio.Server]:
    """Serve at HOST:PORT, with *tls* by HTTPS. Raises OSError if that cannot be bound."""
    host, port = split_address(address)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    assert runner.server is not None
    crowd = _Crowd(metrics, name.metric, most_connections)
    manager, loop = runner.server, asyncio.get_running_loop()
    wait_s = None if tls is None else TLS_WAIT_S

    def connection() -> _Connection:
        return _Connection(
            manager,
            loop=loop,
            crowd=crowd,
            access_log=None,
            keepalive_timeout=request_wait_s,
            lingering_time=0.0,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )

    try:
        try:
            server = await loop.create_server(
                connection, host, port, ssl=tls, ssl_handshake_timeout=wait_s
            )
        except OSError as error:
            raise OSError(f"{name.flag} {address} cannot be bound: {error.strerror}") from error
        async with contextlib.AsyncExitStack() as open_:
            open_.callback(server.close)
            yield server
    finally:
        crowd.disperse()
        await runner.cleanup()


class _Crowd:
    """The connections that are open, oldest first."""

    def __init__(self, metrics: Metrics, port: str, most: int) -> None:
        self._ended = metrics.connections_ended
        self._port = port
        self._most = most
        self._open: dict[asyncio.Transport, str] = {}
        for reason in ("crowd", "malformed"):
            self._ended.labels(self._port, reason)

    def join(self, transport: asyncio.Transport) -> None:
        """One more; if it is one too many, another ends."""
        peer = transport.get_extra_info("peername") or ("",)
        self._open[transport] = str(peer[0])
        if len(self._open) > self._most:
            address, _ = Counter(self._open.values()).most_common(1)[0]
            oldest = next(one for one, its in self._open.items() if its == address)
            del self._open[oldest]
            oldest.abort()
            self._ended.labels(self._port, "crowd").inc()

    def leave(self, transport: asyncio.Transport) -> None:
        self._open.pop(transport, None)

    def malformed(self) -> None:
        self._ended.labels(self._port, "malformed").inc()

    def disperse(self) -> None:
        """End all of them."""
        for transport in tuple(self._open):
            transport.abort()


class _Connection(web.RequestHandler):
    __slots__ = ("_crowd", "_mine")

    def __init__(self, manager: web.Server, *, crowd: _Crowd, **options: Any) -> None:
        super().__init__(manager, **options)
        self._crowd = crowd
        self._mine: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._mine = transport
        self._crowd.join(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._mine is not None:
            self._crowd.leave(self._mine)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is answered and counted; it is no fault of ours, with a traceback."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        self._crowd.malformed()
        peer = request.remote
        log.debug("no HTTP request from %s: %s", peer, message, extra={"peer": peer})
        answer = web.Response(status=status, text="not an HTTP/1.1 request\n")
        answer.force_close()
        return answer
