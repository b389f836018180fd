"""The other end of fuzzed attempts: whatever arrives is answered with where it arrived."""

from __future__ import annotations

import asyncio
import ssl

from support.dataplane.netns import Namespace
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

MARK = b"reached "
_ATTEMPT_S = 10.0


class Sink(asyncio.Protocol):
    """Answers the first bytes, be they HTTP, TLS or neither, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        host, port = self._transport.get_extra_info("sockname")
        text = MARK + f"{host}:{port}\n".encode()
        if b" HTTP/1." in data:
            length = f"content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode()
            text = b"HTTP/1.1 200 OK\r\n" + length + text
        self._transport.write(text)
        self._transport.close()


async def arrival(
    pod: Namespace, attempt: Attempt, *, alpn: tuple[str, ...] = (), source: str = ""
) -> str:
    """Make the attempt from *pod*: where it arrived (`address:port`), or "" if it was refused.

    *source* is the address that it comes from, if the pod has several. A named host that cannot be
    reached yet (503) is tried again for a moment.
    """
    deadline = asyncio.get_running_loop().time() + _ATTEMPT_S
    while True:
        answer = await _answer(pod, attempt, alpn, source)
        if MARK in answer:
            return answer.partition(MARK)[2].split()[0].decode()
        loading = answer.startswith(b"HTTP/1.1 503")
        if not loading or asyncio.get_running_loop().time() > deadline:
            return "" if not loading else "503"
        await asyncio.sleep(0.05)


async def _answer(pod: Namespace, attempt: Attempt, alpn: tuple[str, ...], source: str) -> bytes:
    assert attempt.address is not None
    try:
        async with asyncio.timeout(_ATTEMPT_S):
            reader, writer = await pod.open_connection(attempt.address, attempt.port, source=source)
            try:
                writer.write(first_bytes(attempt, alpn))
                return await reader.read(4096)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return b""


def first_bytes(attempt: Attempt, alpn: tuple[str, ...] = ()) -> bytes:
    """What a client says first, from which it is told what it wants."""
    match attempt.protocol:
        case Protocol.HTTP:
            headers = "".join(f"{name}: {value}\r\n" for name, value in attempt.headers)
            tunnel = attempt.method == "CONNECT"
            target = attempt.host if tunnel else attempt.path
            head = f"{attempt.method} {target} HTTP/1.1\r\nhost: {attempt.host}\r\n"
            length = "" if tunnel else "content-length: 0\r\n"
            return f"{head}{headers}{length}\r\n".encode()
        case Protocol.HTTPS:
            return _client_hello(attempt.host, alpn)
        case _:
            return b"\x00\x01 these bytes are neither HTTP nor TLS\n"


def _client_hello(server_name: str, alpn: tuple[str, ...]) -> bytes:
    """The first flight of a TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name or None)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("the handshake ended without a server")
