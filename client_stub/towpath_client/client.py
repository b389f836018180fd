"""AdsClient: subscriptions to several resource types over one gRPC stream that is kept up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Literal, TypeAlias

import grpc
import grpc.aio
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc

from towpath_client.backoff import Backoff
from towpath_client.delta import DeltaExchange
from towpath_client.exchange import Exchange, Request, Response
from towpath_client.sotw import SotwExchange
from towpath_client.subscription import Subscription, checked_names
from towpath_client.tls import TlsFiles
from towpath_client.token_file import TokenFile
from towpath_client.update import SubscriptionRefused

log = logging.getLogger(__name__)

Mode = Literal["delta", "sotw"]

_EXCHANGES: dict[Mode, type[Exchange]] = {"delta": DeltaExchange, "sotw": SotwExchange}

Call: TypeAlias = "grpc.aio.StreamStreamCall[Request, Response]"

_REFUSED = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # The state of a large mesh is above gRPC's own limit of 4 MiB.
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    # A server by default allows one ping in five minutes on a silent stream; without any ping a
    # peer that vanished would never be noticed.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A shared connection would bring gRPC's own back-off along into the next attempt.
    ("grpc.use_local_subchannel_pool", 1),
)

_CANCEL_AGAIN_S = 0.1
_LAST_WORDS_S = 1.0
"""How long leaving a client waits for the server to end a stream on which it may still be read."""


class AdsClient:
    """One stream to a control plane, as an async context manager; leaving it ends everything.

    Leaving it without an exception accepts each update that the leaving task has taken. What was
    answered still reaches the server, for which leaving may take a second; a cancelled task leaves
    at once.

    `address` is what gRPC takes as a target; without `credentials` the connection is plaintext.
    A broken stream is opened again after `backoff`, and the server is told what is held. Files that
    cannot be read are an OSError on entering, and later a reason to try again.
    """

    def __init__(
        self,
        address: str,
        node_id: str,
        *,
        mode: Mode = "delta",
        credentials: TlsFiles | TokenFile | grpc.ChannelCredentials | None = None,
        user_agent: str = "towpath-client",
        metadata: Sequence[tuple[str, str]] = (),
        channel_options: Sequence[tuple[str, str | int]] = (),
        backoff: Backoff | None = None,
    ) -> None:
        if mode not in _EXCHANGES:
            raise ValueError(f"mode={mode!r}: allowed are {sorted(_EXCHANGES)}")
        self._address = address
        self._node = base_pb2.Node(id=node_id, user_agent_name=user_agent)
        self._mode = mode
        self._credentials = credentials
        self._metadata = tuple(metadata)
        self._options = tuple((dict(_CHANNEL_OPTIONS) | dict(channel_options)).items())
        self._backoff = backoff or Backoff()
        self._subscriptions: dict[str, Subscription] = {}
        self._outbox: asyncio.Queue[Request] | None = None
        self._call: Call | None = None
        self._responded = False  # the server has, on this stream
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def subscribe(self, type_url: str, names: Iterable[str] = ("*",)) -> Subscription:
        """Follow a type on this stream; ValueError if it is followed already."""
        if self._closed:
            raise RuntimeError(f"the client of {self._address} is closed")
        if type_url in self._subscriptions and not self._subscriptions[type_url].closed:
            raise ValueError(f"{type_url} is subscribed to already; change that one's names")
        exchange = _EXCHANGES[self._mode](type_url, checked_names(names))
        subscription = self._subscriptions[type_url] = Subscription(exchange, self._send)
        if self._failure is not None:
            subscription.fail(self._failure)
        elif self._outbox is not None:
            subscription.stream_began()
        return subscription

    async def finish(self) -> None:
        """Say no more, and wait until the server has heard all that was said and ends the stream.

        What is only written is lost if the stream is cancelled before the server reads it; what a
        broken stream swallowed is never written.
        """
        if self._outbox is not None:
            await self._outbox.join()
        if (call := self._call) is not None:
            await call.done_writing()
            await call.code()  # this call's, though another may be in its place by now

    async def __aenter__(self) -> AdsClient:
        if isinstance(self._credentials, TlsFiles | TokenFile):
            self._credentials.credentials()
        if isinstance(self._credentials, TokenFile):
            self._credentials.metadata()
        self._task = asyncio.create_task(self._run(), name=f"ads client of {self._address}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        try:
            for subscription in self._subscriptions.values():
                subscription.accept_processed()
            if error is None or isinstance(error, Exception | GeneratorExit):
                await self._last_words()
        finally:
            if self._task is not None:
                await _end(self._task)
            for subscription in self._subscriptions.values():
                subscription.close()

    async def _last_words(self) -> None:
        """Let the server read what was answered, if there was anything to answer."""
        if not self._responded:
            return
        # A task of its own: what becomes of a call that breaks meanwhile is nothing to who leaves.
        finishing = asyncio.create_task(self.finish())
        try:
            await asyncio.wait({finishing}, timeout=_LAST_WORDS_S)
        finally:
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)

    async def _run(self) -> None:
        """Keep a stream open until it is refused; a failure is raised to every subscriber."""
        try:
            while True:
                ended = await self._stream()
                if self._closed:
                    return
                text = "stream to %s ended, connecting again: %s"
                log.info(text, self._address, ended, extra={"peer": self._address})
                await self._backoff.wait()
        except Exception as failure:  # noqa: BLE001 (nobody awaits this task)
            self._failure = failure
            for subscription in self._subscriptions.values():
                subscription.fail(failure)

    async def _stream(self) -> str:
        """Run one stream to its end; returns why it ended if it may be tried again."""
        try:
            metadata = self._metadata
            if isinstance(self._credentials, TokenFile):
                metadata += self._credentials.metadata()
            opened = self._channel()
        except OSError as error:
            return f"the files to log in with cannot be read: {error}"
        async with opened as channel:
            stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
            open_stream = {
                "delta": stub.DeltaAggregatedResources,
                "sotw": stub.StreamAggregatedResources,
            }[self._mode]
            call = open_stream(metadata=metadata)
            self._call, outbox = call, asyncio.Queue[Request]()
            self._outbox = outbox
            try:
                for subscription in self._subscriptions.values():
                    subscription.stream_began()
                async with asyncio.TaskGroup() as tasks:
                    writer = tasks.create_task(self._write(call, outbox))
                    await self._read(call)
                    writer.cancel()
            finally:
                self._outbox, self._call, self._responded = None, None, False
                for subscription in self._subscriptions.values():
                    subscription.stream_ended()
                call.cancel()
            status, details = await call.code(), await call.details()
        # If a request was being written when the server ended the stream, grpc.aio can put INTERNAL
        # in the place of the server's status (https://github.com/grpc/grpc/issues/36066). A refusal
        # that was hidden so is learnt from the next attempt.
        if status in _REFUSED:
            raise SubscriptionRefused(status, details)
        return f"{status.name} {details}"

    def _channel(self) -> grpc.aio.Channel:
        credentials, options = self._credentials, self._options
        if credentials is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        if isinstance(credentials, TlsFiles | TokenFile):
            options = (*options, *credentials.channel_options())
            credentials = credentials.credentials()
        return grpc.aio.secure_channel(self._address, credentials, options=options)

    async def _read(self, call: Call) -> None:
        """Hand out the stream's responses until it ends, for whatever reason."""
        with suppress(grpc.aio.AioRpcError):
            async for response in call:
                self._backoff.reset()
                self._responded = True
                if subscription := self._subscriptions.get(response.type_url):
                    subscription.receive(response)

    async def _write(self, call: Call, outbox: asyncio.Queue[Request]) -> None:
        """Send the requests in order; the node goes with the first one only."""
        node: base_pb2.Node | None = self._node
        # Once the call has ended nothing can be written; the reader learns why it ended.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                request = await outbox.get()
                if node is not None:
                    request.node.CopyFrom(node)
                    node = None
                await call.write(request)
                outbox.task_done()

    def _send(self, requests: Iterable[Request]) -> None:
        """Queue requests; without a stream they are void, its successor starts afresh."""
        if self._outbox is not None:
            for request in requests:
                self._outbox.put_nowait(request)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it ends: grpc.aio forgets a cancellation that comes while it prepares a call.

    https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/aio/_call.py, `_prepare_rpc`
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_S)
