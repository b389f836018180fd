"""Gate: the one place that says who may call which method, and in whose name it subscribes.

It stands before every method that the server has. What no rule speaks of is refused.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from inspect import isasyncgen
from typing import Any, Protocol, TypeAlias

import grpc

from towpath.access.caller import Caller, Context, Transport
from towpath.access.expiry import seconds_left
from towpath.access.requests import Calls, each, only, released
from towpath.model.credentials import Subscriber
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

_LET_IN: ContextVar[Caller] = ContextVar("_LET_IN")
"""The caller of the call that this task serves."""


class Audience(StrEnum):
    """For whom a service is."""

    SIDECARS = "sidecars"
    """Service accounts of the mesh; each stream then only for a pod of its own account."""
    PEOPLE = "people"
    """The identities of the allow-list, and whoever may connect to the local socket or address."""
    ANYONE = "anyone"
    """Any authenticated caller."""


class Login(Protocol):
    """Takes callers' tokens: see `access.login`."""

    async def take(self, caller: Caller, context: Context) -> Caller:
        """The caller with what its token proves; it ends the call if that proves nobody."""


class Gate(grpc.aio.ServerInterceptor):
    """Lets calls in by *rules*, which say by a service's full name for whom it is.

    With *plaintext* nobody is authenticated: every call that a rule speaks of is let in, and any
    stream may be any pod's. Without, a caller in plaintext is refused everything. *people* are
    SPIFFE ids. *largest* is how many bytes a request to a service may have, and *let_in* is told
    the peer of each call that is let in; *hang_up* ends the connection of a peer in a moment.
    *now* is when certificates have to be valid. Without a *login* tokens count for nothing.
    """

    def __init__(
        self,
        rules: Mapping[str, Audience],
        *,
        plaintext: bool,
        trust_domain: str,
        people: frozenset[str],
        metrics: Metrics,
        largest: Mapping[str, int] | None = None,
        let_in: Callable[[str], None] = lambda _: None,
        hang_up: Callable[[str], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        login: Login | None = None,
    ) -> None:
        self._rules = rules
        self._plaintext = plaintext
        self._trust_domain = trust_domain
        self._people = people
        self._metrics = metrics
        self._largest = largest or {}
        self._let_in = let_in
        self._now = now
        self._login = login
        self.hang_up = hang_up
        self._calls = Calls()

    def caller(self, context: Context) -> Caller:
        """Who makes the call of that context: the one who was let in, inside of a method."""
        caller = _LET_IN.get(None)
        return Caller.of(context) if caller is None else caller

    def subscriber(self, context: Context) -> Subscriber | None:
        """In whose name a stream is opened; None: nobody is authenticated.

        PermissionError for a caller who is none: the gate lets no such one in.
        """
        caller = self.caller(context)
        if caller.transport is Transport.PLAINTEXT and self._plaintext:
            return None
        if (subscriber := caller.subscriber(self._trust_domain)) is None:
            raise PermissionError(f"{caller} is not a sidecar")
        return subscriber

    def seconds_left(self, context: Context) -> float | None:
        """How long a call may last until its credential ends; None: for ever."""
        caller = self.caller(context)
        if caller.expires_at is None:
            return None
        return seconds_left(caller.expires_at, peer=caller.peer, now=self._now())

    def count_refusal(self, audience: Audience | None, reason: str) -> None:
        """*reason* is one of a few fixed words; None: no rule said for whom it is."""
        self._metrics.access_refused.labels(audience or "nobody", reason).inc()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Put the check before the method; gRPC gives the caller only to the method itself."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._guarded(handler, handler_call_details.method)

    def _guarded(self, handler: Handler, method: str) -> Handler:
        service = method.strip("/").rpartition("/")[0]
        inner: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

        decode, largest = handler.request_deserializer or bytes, self._largest.get(service)

        async def asked(context: Context) -> Any:
            decoded = each(context, decode=decode, largest=largest)
            if handler.request_streaming:
                return decoded
            async with self._calls.turn(context):
                return await only(decoded, context)

        async def unary(_: AsyncIterator[bytes], context: Context) -> Any:
            async with self._let_through(service, method, context):
                try:
                    return await inner(await asked(context), context)
                except NotImplementedError:  # registered by generated code, and written by nobody
                    text = f"{method} is not implemented"
                    await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

        async def stream(_: AsyncIterator[bytes], context: Context) -> None:
            async with self._let_through(service, method, context):
                response = inner(await asked(context), context)
                if not isasyncgen(response):
                    await response
                    return
                async with aclosing(response):
                    async for message in response:
                        await context.write(message)

        # To gRPC each has a stream of requests: a single one it would read before the check.
        responds = {"response_serializer": handler.response_serializer}
        if handler.response_streaming:
            guarded: Handler = grpc.stream_stream_rpc_method_handler(released(stream), **responds)
        else:
            guarded = grpc.stream_unary_rpc_method_handler(released(unary), **responds)
        return guarded

    @asynccontextmanager
    async def _let_through(
        self, service: str, method: str, context: Context
    ) -> AsyncIterator[None]:
        _LET_IN.set(await self._check(service, method, context))
        self._let_in(context.peer())
        if self._rules[service] is Audience.SIDECARS:  # which has limits of its own
            yield
            return
        async with self._calls.one_more(context):
            yield

    async def _check(self, service: str, method: str, context: Context) -> Caller:
        caller = Caller.of(context)
        anonymous = caller.transport is Transport.TLS and caller.credential is None
        if anonymous and self._login is not None:
            caller = await self._login.take(caller, context)
        refusal = self._refusal(service, caller)
        if refusal is not None:
            reason, details = refusal
            self.count_refusal(self._rules.get(service), reason)
            log.warning(
                "denied %s to %s (%s)",
                method,
                caller,
                reason,
                extra={"method": method, "reason": reason, **caller.fields},
            )
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{caller}: {details}")
        return caller

    def _refusal(self, service: str, caller: Caller) -> tuple[str, str] | None:
        """Why a caller may not call a service: for the metric and the log, and in words."""
        audience = self._rules.get(service)
        if audience is None:
            return "no-rule", f"no rule allows calls of {service}"
        match caller.transport:
            case Transport.PLAINTEXT if self._plaintext:
                return None
            case Transport.LOCAL:
                return self._refusal_of_local(service, audience)
            case Transport.TLS if caller.expires_at and caller.expires_at <= self._now():
                text = f"the {caller.credential} has expired: connect again with a new one"
                return "expired", text
            case Transport.TLS if caller.credential is not None:
                return self._refusal_of_identity(service, audience, caller)
        return "transport", "only authenticated callers are served"

    def _refusal_of_local(self, service: str, audience: Audience) -> tuple[str, str] | None:
        if audience is Audience.SIDECARS:
            return "local", f"{service} is for sidecars; this address is for people and their tools"
        return None

    def _refusal_of_identity(
        self, service: str, audience: Audience, caller: Caller
    ) -> tuple[str, str] | None:
        if audience is Audience.SIDECARS and caller.account(self._trust_domain) is None:
            pattern = f"spiffe://{self._trust_domain}/ns/<namespace>/sa/<service account>"
            return "no-account", f"{service} needs a certificate whose one URI is {pattern}"
        if audience is Audience.PEOPLE and caller.spiffe_id not in self._people:
            return "not-listed", f"{service} is for the identities of --inspector-identities"
        return None
