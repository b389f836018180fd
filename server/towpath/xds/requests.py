"""Requests from bytes, which a thousand clients send alike: all but the nonce is read once.

An ACK says the same on every stream but for its nonce, which clients write behind all else. What
came before the nonce is a whole message of its own, so a nonce behind it changes nothing else of
what it says: https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from towpath.settings import StreamLimits
from towpath.xds.limits import LimitExceeded
from towpath.xds.messages import ProtocolError, Request
from towpath.xds.variant import Variant

LARGE_REQUEST = 256 << 10
"""In bytes; what is larger is read beside the event loop, which others wait for, and not kept."""

REMEMBERED_BYTES = 16 << 20
"""Of the latest different requests, with what their names take as values."""

BYTES_OF_NAME = 150
"""What a name takes beside its text."""

LONGEST_NONCE = 12


class RequestParser:
    """Parses the requests of all streams, within *limits*."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._requests: OrderedDict[tuple[str, bytes], Request] = OrderedDict()
        self._bytes = 0

    async def parse(self, variant: Variant, data: bytes) -> Request:
        """A request from its bytes; raises what `Variant.parse` does."""
        if len(data) > LARGE_REQUEST:
            return await asyncio.to_thread(variant.parse, data, self._limits)
        message, nonce = _split(data, variant.nonce_tag)
        key = variant.name, message
        request = self._requests.get(key)
        if request is not None:
            self._requests.move_to_end(key)
            return request.with_nonce(nonce) if nonce else request
        request = variant.parse(data, self._limits)
        if request.node is None and request.nonce == nonce and request.error is None:
            self._remember(variant, message, request)
        return request

    def _remember(self, variant: Variant, message: bytes, request: Request) -> None:
        same = request
        if request.nonce:
            # What looks like a nonce may be the end of something else.
            try:
                same = variant.parse(message, self._limits)
            except (LimitExceeded, ProtocolError):
                return
            if same.with_nonce(request.nonce) != request:
                return
        self._requests[variant.name, message] = same
        self._bytes += _size(message, same)
        while self._bytes > REMEMBERED_BYTES:
            (_, oldest), gone = self._requests.popitem(last=False)
            self._bytes -= _size(oldest, gone)


def _size(message: bytes, request: Request) -> int:
    return 2 * len(message) + BYTES_OF_NAME * (1 + request.name_count)


def _split(data: bytes, tag: int) -> tuple[bytes, str]:
    """What looks like a message, and like a nonce of ours behind it; no nonce if nothing does."""
    start = len(data.rstrip(b"0123456789"))
    for length in range(1, min(len(data) - start, LONGEST_NONCE) + 1):
        end = len(data) - length
        if end >= 2 and data[end - 1] == length and data[end - 2] == tag:
            return data[: end - 2], data[end:].decode()
    return data, ""
