"""Call a method of which only the name is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import grpc

WITHIN_S = 30.0


async def call(
    channel: grpc.aio.Channel,
    method: str,
    message: bytes = b"",
    *,
    metadata: Sequence[tuple[str, str]] = (),
) -> bytes | grpc.StatusCode:
    """Send one message and no more; gives the first answer, or the status of the end before it.

    On the wire a method that takes one message, or answers with one, is no different.
    """
    # As one write: where the server ends a call while a stream's message is being written, grpc.aio
    # can say INTERNAL instead of its status (https://github.com/grpc/grpc/issues/36066).
    answers: Any = cast("Any", channel.unary_stream(method))(message, metadata=tuple(metadata))
    try:
        answer = await asyncio.wait_for(answers.read(), WITHIN_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    if answer is grpc.aio.EOF:
        status: grpc.StatusCode = await answers.code()
        return status
    answers.cancel()
    assert isinstance(answer, bytes)
    return answer
