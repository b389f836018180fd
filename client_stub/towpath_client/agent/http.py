"""`/health` and `/metrics`, and no more of HTTP than they need."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

LARGEST_REQUEST = 8192
SECONDS = 5.0

Page = Callable[[], tuple[HTTPStatus, str]]


async def serve_pages(host: str, port: int, pages: dict[str, Page]) -> asyncio.Server:
    """Answer GET of each path with its page; a connection has one request, and 5 s for it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, pages))
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    return await asyncio.start_server(answer, host, port, limit=LARGEST_REQUEST)


def _response(head: bytes, pages: dict[str, Page]) -> bytes:
    method, _, rest = head.decode("latin-1").partition(" ")
    page = pages.get(rest.partition(" ")[0].partition("?")[0])
    if method not in ("GET", "HEAD"):
        status, text = HTTPStatus.METHOD_NOT_ALLOWED, "GET only\n"
    elif page is None:
        status, text = HTTPStatus.NOT_FOUND, f"there are {', '.join(pages)}\n"
    else:
        status, text = page()
    body = text.encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == "HEAD" else body)
