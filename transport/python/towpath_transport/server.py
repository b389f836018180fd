"""Server: takes calls from the transport's thread, and has the methods of grpc.aio serve them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import grpc
import grpc.aio

from towpath_transport import _core
from towpath_transport._core import Call, Core, Identity
from towpath_transport.context import Context
from towpath_transport.limits import TransportLimits

log = logging.getLogger(__name__)

AT_ONCE = 256
"""Events that are taken before the event loop has its turn again."""

LAST_WORDS_S = 1.0
"""How long what was said last may take to get through at the end."""

ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name may stand for an address that this machine does not have beside one that it has."""


class CallDetails(NamedTuple):
    """What interceptors and generic handlers are asked by."""

    method: str
    invocation_metadata: Any


class Server:
    """To be made, started and stopped in one event loop, which must be able to watch descriptors.

    *interceptors* and handlers are those of grpc.aio.
    """

    def __init__(
        self, *, limits: TransportLimits, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()
    ) -> None:
        self._core = Core(asdict(limits))
        self._interceptors = tuple(interceptors)
        self._generic: list[grpc.GenericRpcHandler] = []
        self._contexts: dict[int, Context] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._drained = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._handing_over = False  # what was said in this turn of the loop, once it has ended
        self._kinds: dict[int, Callable[[int, Any], None]] = {
            _core.REQUEST: self._on_request,
            _core.CALL: self._on_call,
            _core.REQUESTS_ENDED: self._on_requests_ended,
            _core.FLUSHED: self._on_flushed,
            _core.CANCELLED: self._on_cancelled,
            _core.DRAINED: self._on_drained,
            _core.REFUSED: self._on_refused,
        }

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._generic.extend(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """What generated code registers twice: the generic handlers of it are enough."""

    def listen(self, address: str, security: str | Identity) -> int:
        """Listen on HOST:PORT by TCP; gives the port.

        *security* is `insecure`, `local` (plaintext of this machine alone), or an Identity. Raises
        OSError if that cannot be.
        """
        host, _, text = address.rpartition(":")
        port, failure = int(text), OSError(errno.EADDRNOTAVAIL, f"no address for {host}")
        infos = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM)
        listening = False
        for ip in dict.fromkeys(str(info[4][0]).partition("%")[0] for info in infos):
            try:
                port = self._core.listen(ip, port, security)
                listening = True
            except OSError as error:
                failure = error
                if error.errno not in ABSENT:
                    raise
        if not listening:
            raise failure
        return port

    async def start(self) -> None:
        """Serve the calls that come, and those that have come already."""
        self._loop.add_reader(self._core.fileno(), self._take)

    async def stop(self, grace: float | None) -> None:
        """Take nothing more; the calls that there are get *grace* seconds, then end."""
        self._core.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace or 0):
                await self._empty.wait()
        self._end_calls()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._empty.wait()
                await self._drained.wait()
        self._loop.remove_reader(self._core.fileno())
        await asyncio.to_thread(self._core.stop)
        self._end_calls()  # those that came meanwhile
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._empty.wait()

    def _end_calls(self) -> None:
        for context in list(self._contexts.values()):
            if context.task is not None:
                context.task.cancel()

    def _take(self) -> None:
        for number, kind, value in self._core.take(AT_ONCE):
            self._kinds[kind](number, value)

    def _said(self) -> None:
        """Have what is said in this turn of the event loop handed over in one go."""
        if not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._handing_over = False
        self._core.hand_over()

    def _on_request(self, number: int, data: bytes) -> None:
        if (context := self._contexts.get(number)) is not None:
            context.on_request(data)

    def _on_call(self, number: int, call: Call) -> None:
        context = self._contexts[number] = Context(call, self._loop, self._said)
        self._empty.clear()
        context.task = self._loop.create_task(self._serve(call.method, context))
        context.task.add_done_callback(partial(self._on_done, number))

    def _on_requests_ended(self, number: int, _: None) -> None:
        if (context := self._contexts.get(number)) is not None:
            context.on_requests_ended()

    def _on_flushed(self, number: int, _: None) -> None:
        if (context := self._contexts.get(number)) is not None:
            context.on_flushed()

    def _on_cancelled(self, number: int, _: None) -> None:
        if (context := self._contexts.get(number)) is not None:
            context.on_cancelled()

    def _on_drained(self, _: int, __: None) -> None:
        self._drained.set()

    def _on_refused(self, _: int, refusal: tuple[str, int]) -> None:
        text, others = refusal
        log.info("TLS handshake failed with %s (and %d more in between)", text, others)

    def _on_done(self, number: int, task: asyncio.Task[None]) -> None:
        context = self._contexts.pop(number)
        if task.cancelled():  # as when it never began
            context.status = grpc.StatusCode.CANCELLED, "the call was cancelled"
        elif (error := task.exception()) is not None:
            log.error("a call has failed", exc_info=error)
            context.status = grpc.StatusCode.INTERNAL, "the call has failed"
        context.task = None
        if not self._contexts:
            self._empty.set()
        context.finish()

    async def _serve(self, method: str, context: Context) -> None:
        try:
            await self._call(method, context)
        except grpc.aio.AbortError:
            pass  # it has set the status
        except asyncio.CancelledError:
            context.status = grpc.StatusCode.UNAVAILABLE, "the server ends this call"
        except Exception as error:
            log.exception("%s has failed", method)
            kind = type(error).__name__
            context.status = grpc.StatusCode.UNKNOWN, f"Unexpected {kind}: {error}"

    async def _call(self, method: str, context: Context) -> None:
        handler = await self._handler(method, context)
        if handler is None:
            context.status = grpc.StatusCode.UNIMPLEMENTED, "Method not found!"
            return
        context.serve_by(handler.request_deserializer, handler.response_serializer)
        serve: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        given = context if handler.request_streaming else await context.read()
        response = serve(given, context)
        if inspect.isasyncgen(response):
            async with contextlib.aclosing(response):
                async for message in response:
                    await context.write(message)
            return
        answer = await response
        if not handler.response_streaming:
            await context.write(answer)

    async def _handler(self, method: str, context: Context) -> Any:
        """The method's handler, as the interceptors leave it; None if there is none."""

        async def registered(details: CallDetails) -> Any:
            found = (generic.service(details) for generic in self._generic)  # type: ignore[arg-type]
            return next((handler for handler in found if handler is not None), None)

        ask: Callable[[Any], Awaitable[Any]] = registered
        for interceptor in reversed(self._interceptors):
            ask = partial(interceptor.intercept_service, ask)
        return await ask(CallDetails(method, context.invocation_metadata()))
