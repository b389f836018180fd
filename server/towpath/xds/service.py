"""The gRPC side of the xDS door: who may open a stream, and what ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial

import grpc
from envoy.service.cluster.v3 import cds_pb2
from envoy.service.discovery.v3 import ads_pb2
from envoy.service.endpoint.v3 import eds_pb2
from envoy.service.listener.v3 import lds_pb2
from envoy.service.route.v3 import rds_pb2
from envoy.service.secret.v3 import sds_pb2

from towpath.access import Audience, Gate
from towpath.hub.hub import Hub
from towpath.hub.stream import NotItsPodError, PodGoneError, Stream
from towpath.model.credentials import Credential, PodToken, Subscriber
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.text import shorten
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, SIDECAR
from towpath.rollout.clients import ClientRecord
from towpath.settings import StreamLimits
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.traces import NO_TRACES, Traces
from towpath.xds.ahead import Ahead
from towpath.xds.budget import OpeningBudget
from towpath.xds.conversation import Context, Conversation, Refused, first_snapshot
from towpath.xds.limits import Admission, LimitExceeded
from towpath.xds.messages import Node, ProtocolError, Request
from towpath.xds.pace import Pace
from towpath.xds.requests import RequestParser
from towpath.xds.session import Session
from towpath.xds.shared import SharedSession, SharedSessions
from towpath.xds.variant import DELTA, SOTW, Variant
from towpath.xds.waits import Waits
from towpath.xds.watchdog import ReadWatchdog
from towpath.xds.wire import Composer, Message

log = logging.getLogger(__name__)

SERVICE = ads_pb2.DESCRIPTOR.services_by_name["AggregatedDiscoveryService"].full_name
ONE_TYPE = {
    cds_pb2.DESCRIPTOR.services_by_name["ClusterDiscoveryService"].full_name: (CLUSTER, "Clusters"),
    eds_pb2.DESCRIPTOR.services_by_name["EndpointDiscoveryService"].full_name: (
        ENDPOINTS,
        "Endpoints",
    ),
    lds_pb2.DESCRIPTOR.services_by_name["ListenerDiscoveryService"].full_name: (
        LISTENER,
        "Listeners",
    ),
    rds_pb2.DESCRIPTOR.services_by_name["RouteDiscoveryService"].full_name: (ROUTES, "Routes"),
    sds_pb2.DESCRIPTOR.services_by_name["SecretDiscoveryService"].full_name: (SECRET, "Secrets"),
}
"""Services of a single type: their type, and how their methods are named after it."""

SERVICES = (SERVICE, *ONE_TYPE)

VARIANTS = (SOTW, DELTA)

SHOWN_NODE_ID = 200
"""Characters of a node id in the log: a client may say any."""


class AdsService:
    """The AggregatedDiscoveryService and the services of a single type, for any number of streams.

    *clock* is monotonic, in seconds. A client that exceeds one of *limits* gets RESOURCE_EXHAUSTED
    naming the limit.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        gate: Gate,
        metrics: Metrics,
        traces: Traces = NO_TRACES,
        clock: Callable[[], float],
        limits: StreamLimits,
        identifier: str,
    ) -> None:
        self._hub = hub
        self._gate = gate
        self._metrics = metrics
        self._traces = traces
        self._clock = clock
        self._composer = Composer(identifier=identifier)
        self._limits = limits
        self._admission = Admission(limits)
        self._silent = Admission(limits, silent=True)
        self._parser = RequestParser(limits)
        self._sessions = SharedSessions()
        self._watchdog = ReadWatchdog(limits.read_wait)
        self._ahead = Ahead()
        self._pace = Pace()
        self._budget = OpeningBudget(limits.opening_budget, clock)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What a server registers: both variants of each service; requests are taken as bytes, and
        responses given as `Message`.

        Unary Fetch methods are left out: a poll would pass by everything a stream goes through.
        """
        return (
            self._handler(SERVICE, None, "AggregatedResources"),
            *(self._handler(service, *named) for service, named in ONE_TYPE.items()),
        )

    def _handler(self, service: str, only_type: str | None, what: str) -> grpc.GenericRpcHandler:
        def serve(variant: Variant) -> grpc.RpcMethodHandler[bytes, Message]:
            return grpc.stream_stream_rpc_method_handler(
                partial(self._serve, variant=variant, only_type=only_type),
                response_serializer=b"".join,
            )

        methods = {f"{variant.method}{what}": serve(variant) for variant in VARIANTS}
        return grpc.method_handlers_generic_handler(service, methods)

    async def _serve(
        self,
        requests: AsyncIterator[bytes],
        context: Context,
        *,
        variant: Variant,
        only_type: str | None,
    ) -> None:
        ended, node = None, ""
        try:
            try:
                reader = aiter(requests)
                first = await self._first(reader, context, variant)
                if first is not None:
                    node = shorten(first.node.id, SHOWN_NODE_ID) if first.node else ""
                    with self._admission.stream(context.peer()):
                        serving = self._serve_stream(
                            first, reader, context, variant=variant, only_type=only_type
                        )
                        del first  # it may be large, and is of no use as long as the stream lasts
                        await serving
            except LimitExceeded as error:
                self._metrics.limited.labels(error.limit).inc()
                raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from error
        except Refused as refused:
            ended = refused.status, refused.details
        # Not inside `except`: what gRPC raises would hold on to all that was asked for.
        if ended is not None:
            status, details = ended
            caller = self._gate.caller(context)
            log.warning(
                "stream of %s (node id %r) ended: %s: %s",
                caller,
                node,
                status.name,
                details,
                extra={"node": node, "status": status.name, **caller.fields},
            )
            self._metrics.refused.labels(status.name).inc()
            await context.abort(status, details)

    async def _first(
        self, reader: AsyncIterator[bytes], context: Context, variant: Variant
    ) -> Request | None:
        """A stream's first request; None if there is none. Until then it counts as silent."""
        with self._silent.stream(context.peer()):
            wait = self._limits.first_request_wait
            try:
                async with asyncio.timeout(wait):
                    data = await anext(reader, None)
            except TimeoutError as error:
                text = f"nothing was asked for within {wait:g} s"
                raise LimitExceeded("first-request", text) from error
            if data is None:
                return None
            if not self._hub.ready:
                # Not before it has asked: who still writes when a stream ends may never learn with
                # which status it did (https://github.com/grpc/grpc/issues/36066).
                raise Refused(grpc.StatusCode.UNAVAILABLE, "not every kind of object is listed yet")
            try:
                return await self._parser.parse(variant, data)
            except ProtocolError as error:
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error

    async def _serve_stream(
        self,
        first: Request,
        reader: AsyncIterator[bytes],
        context: Context,
        *,
        variant: Variant,
        only_type: str | None,
    ) -> None:
        await self._pace.turn()
        node, sidecar = _who(first)
        kind = _kind(node, first.type_url)
        subscriber = self._gate.subscriber(context)
        account = subscriber.account if subscriber else None
        if account is not None and account.namespace != sidecar.namespace:
            raise self._not_its_pod(account, sidecar)
        self._check_token(self._gate.caller(context).token, sidecar)
        payer = str(account or self._hub.account_of(sidecar) or context.peer())
        self._budget.check(payer)
        with self._budget.spending(payer):
            stream = self._hub.attach(
                peer=context.peer(),
                node_id=node.id,
                sidecar=sidecar,
                kind=kind,
                variant=variant.name,
                subscriber=subscriber,
                software=(node.user_agent, node.version),
            )
        stream.record.introduce(node.encoded)
        fields = {
            "node": node.id,
            "client": str(kind),
            "account": str(account or ""),
            "peer": context.peer(),
        }
        log.info("%s (%s) connected from %s", node.id, kind, context.peer(), extra=fields)
        self._metrics.sidecars.labels(kind).inc()
        proved = asyncio.timeout(self._gate.seconds_left(context))
        try:
            async with proved:
                snapshot = await self._first_snapshot(stream)
                session = self._new_session(variant, stream.client, only_type=only_type)
                conversation = Conversation(
                    stream,
                    session,
                    context,
                    records=self._hub.records,
                    metrics=self._metrics,
                    traces=self._traces,
                    clock=self._clock,
                    limits=self._limits,
                    parser=self._parser,
                    watchdog=self._watchdog,
                    ahead=self._ahead,
                    pace=self._pace,
                    spending=partial(self._budget.spending, payer),
                )
                try:
                    begun = conversation.begin(snapshot, first)
                    del snapshot, first  # others come, and these would be kept beside them
                    await begun
                    await conversation.go_on(reader, variant)
                finally:
                    session.close()
        except TimeoutError as error:
            if not proved.expired():
                raise
            raise self._ended(context, subscriber) from error
        except ProtocolError as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        except NotItsPodError as error:
            raise self._not_its_pod(error.subscriber, sidecar) from error
        except PodGoneError as error:
            text = f"the Pod {sidecar.namespace}/{sidecar.pod} that this token was given to is gone"
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, text) from error
        finally:
            self._metrics.sidecars.labels(kind).dec()
            self._hub.detach(stream)
            log.info("%s (%s) disconnected", node.id, kind, extra=fields)

    def _check_token(self, token: PodToken | None, sidecar: SidecarId) -> None:
        """A token is for its own pod alone, whatever others run as its account."""
        if token is not None and token.sidecar != sidecar:
            self._gate.count_refusal(Audience.SIDECARS, "other-pod")
            its = token.sidecar
            raise Refused(
                grpc.StatusCode.PERMISSION_DENIED,
                f"the token of Pod {its.namespace}/{its.pod} may not subscribe as Pod "
                f"{sidecar.namespace}/{sidecar.pod}",
            )

    async def _first_snapshot(self, stream: Stream) -> Snapshot:
        try:
            return await first_snapshot(stream, wait=self._limits.unknown_pod_wait)
        except Refused:
            if not stream.sees_another:
                raise
        self._gate.count_refusal(Audience.SIDECARS, "other-uid")
        pod = stream.record.sidecar
        text = f"the token is not of the Pod {pod.namespace}/{pod.pod} that exists, but of another"
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, f"{text} of this name (other uid)")

    def _ended(self, context: Context, subscriber: Subscriber | None) -> Refused:
        """The credential of the connection has come to its end, or nearly so."""
        self._gate.hang_up(context.peer())
        what = subscriber.credential if subscriber else Credential.CERTIFICATE
        text = f"the {what} of this connection ends: connect again, with a new one"
        return Refused(grpc.StatusCode.UNAVAILABLE, text)

    def _new_session(
        self, variant: Variant, client: ClientRecord, *, only_type: str | None
    ) -> SharedSession:
        waits = Waits(clock=self._clock, longest=self._limits.answer_wait)
        new = partial(
            Session,
            variant,
            composer=self._composer,
            client=client,
            waits=waits,
            only_type=only_type,
            nonce=self._sessions.nonce,
        )
        state = self._sessions.begin((variant.name, only_type), client, new)
        return SharedSession(state, self._sessions, client=client, waits=waits)

    def _not_its_pod(self, subscriber: Account, sidecar: SidecarId) -> Refused:
        self._gate.count_refusal(Audience.SIDECARS, "other-account")
        return Refused(
            grpc.StatusCode.PERMISSION_DENIED,
            f"service account {subscriber} may not subscribe as Pod "
            f"{sidecar.namespace}/{sidecar.pod}, which runs as another service account",
        )


def _who(first: Request) -> tuple[Node, SidecarId]:
    if first.node is None or not first.node.id:
        text = "the first request on a stream must have a node with an id, <pod>.<namespace>"
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text)
    try:
        return first.node, SidecarId.parse(first.node.id)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


def _kind(node: Node, type_url: str) -> ClientKind:
    """Which resources are offered: never a sidecar's to a gRPC library, nor the other way round."""
    if type_url == SIDECAR:
        return ClientKind.PIPY
    return ClientKind.GRPC if node.user_agent.startswith("gRPC") else ClientKind.ENVOY
