"""Context: what a method is given of its call, as grpc.aio would give it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import grpc
import grpc.aio

from towpath_transport._core import Call

AT_ONCE = 256 << 10
"""Bytes of a response that need not be waited for, if none is before it: h2 keeps more than that
for a client that does not read."""

Pairs = Sequence[tuple[str, str | bytes]]


class Context(grpc.aio.ServicerContext[Any, Any]):
    """The call's other half; only its server calls what begins with `on_`.

    *said* is to be called when something was said to the call.
    """

    __slots__ = (
        "_call",
        "_decode",
        "_encode",
        "_ended",
        "_flush",
        "_loop",
        "_metadata",
        "_over",
        "_reader",
        "_requests",
        "_said",
        "_trailers",
        "status",
        "task",
    )

    def __init__(
        self, call: Call, loop: asyncio.AbstractEventLoop, said: Callable[[], None]
    ) -> None:
        self._call = call
        self._said = said
        self._loop = loop
        self._decode: Callable[[bytes], Any] | None = None
        self._encode: Callable[[Any], bytes] | None = None
        self._requests: deque[bytes] = deque()
        self._ended = False
        self._over = False
        self._reader: asyncio.Future[None] | None = None
        self._flush: asyncio.Future[None] | None = None
        self._trailers: Pairs = ()
        self._metadata: tuple[tuple[str, str | bytes], ...] | None = None
        self.status: tuple[grpc.StatusCode, str] = (grpc.StatusCode.OK, "")
        self.task: asyncio.Task[None] | None = None

    def serve_by(
        self, decode: Callable[[bytes], Any] | None, encode: Callable[[Any], bytes] | None
    ) -> None:
        """How the method's requests and responses are read and written; None: they are bytes."""
        self._decode, self._encode = decode, encode

    def on_request(self, data: bytes) -> None:
        self._requests.append(data)
        _wake(self._reader)

    def on_requests_ended(self) -> None:
        self._ended = True
        _wake(self._reader)

    def on_cancelled(self) -> None:
        self._over = True
        if self.task is not None:
            self.task.cancel()

    def on_flushed(self) -> None:
        _wake(self._flush)

    def finish(self) -> None:
        """Send the status that was set."""
        code, details = self.status
        pairs = [(k, v.encode() if isinstance(v, str) else _armoured(v)) for k, v in self._trailers]
        number: int = code.value[0]
        # A text may quote what is no text, as lone surrogates.
        self._call.finish(number, details.encode(errors="replace").decode(), pairs)
        self._said()

    async def read(self) -> Any:
        """The next request; `grpc.aio.EOF` if the client says no more.

        Raises CancelledError if the call is over: nothing would come any more.
        """
        while not self._requests:
            self._check()
            if self._ended:
                return grpc.aio.EOF
            self._reader = self._loop.create_future()
            self._call.want()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._requests.popleft()
        self._call.taken()
        return data if self._decode is None else self._decode(data)

    def __aiter__(self) -> Context:
        return self

    async def __anext__(self) -> Any:
        request = await self.read()
        if request is grpc.aio.EOF:
            raise StopAsyncIteration
        return request

    async def write(self, message: Any) -> None:
        """Send a response; returns once those before it are on their way, and it too if large.

        What is a tuple of two `bytes` is sent as the one with the other behind it, which is not
        copied: so must say the method's serializer too. Raises CancelledError if the call is over:
        nobody takes it any more.
        """
        self._check()
        if type(message) is tuple:
            body, tail = message
        else:
            body, tail = message if self._encode is None else self._encode(message), b""
        before = self._call.send(body, tail)
        self._said()
        if before or len(body) > AT_ONCE:
            await self._until_flushed()

    def _check(self) -> None:
        if self._over:
            raise asyncio.CancelledError

    async def _until_flushed(self) -> None:
        while not self._call.flushed():
            self._flush = self._loop.create_future()
            try:
                # It may have been flushed before there was a future to wake.
                if self._call.flushed():
                    return
                await self._flush
            finally:
                self._flush = None

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()
    ) -> NoReturn:
        if code is grpc.StatusCode.OK:
            raise ValueError("a call is aborted with a status other than OK")
        self.status = code, details
        self._trailers = tuple(trailing_metadata) or self._trailers
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def peer(self) -> str:
        return self._call.peer

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        attributes = {"transport_security_type": [self._call.security.encode()]}
        if (certificate := self._call.certificate) is not None:
            attributes["x509_pem_cert"] = [ssl.DER_cert_to_PEM_cert(certificate).encode()]
        return attributes

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def invocation_metadata(self) -> Any:
        if self._metadata is None:
            self._metadata = tuple((k, _value(k, v)) for k, v in self._call.metadata)
        return self._metadata

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        if initial_metadata:
            raise NotImplementedError("this transport sends no initial metadata")

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailers = tuple(trailing_metadata)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.status = code, self.status[1]

    def set_details(self, details: str) -> None:
        self.status = self.status[0], details

    def code(self) -> grpc.StatusCode:
        return self.status[0]

    def details(self) -> str:
        return self.status[1]

    def set_compression(self, compression: grpc.Compression) -> None:
        """Nothing is compressed, which gRPC allows whatever was wished for."""

    def disable_next_message_compression(self) -> None:
        """Nothing is compressed."""


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _value(key: str, value: bytes) -> str | bytes:
    """A value of metadata: bytes if the key says so, else text."""
    if not key.endswith("-bin"):
        return value.decode("latin-1")
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return b""


def _armoured(value: bytes) -> bytes:
    return base64.b64encode(value).rstrip(b"=")
