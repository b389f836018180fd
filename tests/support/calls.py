"""Call a method of which only the name is known."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc

WITHIN_S = 5.0


async def call(
    channel: grpc.aio.Channel, method: str, message: bytes = b""
) -> bytes | grpc.StatusCode:
    """Send one message and no more; gives the first answer, or the status of the end before it.

    On the wire a method that takes one message, or answers with one, is no different.
    """
    shapeless = cast(
        "grpc.aio.StreamStreamMultiCallable[bytes, bytes]", channel.stream_stream(method)
    )
    streaming: Any = shapeless(iter([message]))
    try:
        answer = await asyncio.wait_for(streaming.read(), WITHIN_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        streaming.cancel()
    if answer is grpc.aio.EOF:
        status: grpc.StatusCode = await streaming.code()
        return status
    assert isinstance(answer, bytes)
    return answer
