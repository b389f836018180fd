"""Envoy's access log service: who may report, for whom, and how much of it is read.

A stream is one pod's, and that pod's account is proved as it is for a subscription. What comes
faster than its share of time allows is shed: a message that was read is counted and not looked at,
and the next is not read before there is time again, so that the sidecar itself drops what it cannot
send. No push waits for reports longer than a slice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import grpc
from envoy.service.accesslog.v3 import als_pb2

from towpath.access import Audience, Gate
from towpath.access.caller import Context
from towpath.answers.observed import account_at
from towpath.encode.envoy.access_log import REFUSAL
from towpath.hub.hub import Hub
from towpath.model.names import Account, SidecarId
from towpath.observe.access_log import LogRecord, Unusable, read, read_refusal
from towpath.observe.flow import Flow, Report
from towpath.observe.recent import RecentFlows
from towpath.reports.messages import decoded, node_id, records
from towpath.reports.share import Share, Shares
from towpath.settings import StreamLimits
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

REPORTS_SERVICE = als_pb2.DESCRIPTOR.services_by_name["AccessLogService"].full_name

MOST_STREAMS_OF_POD = 64
"""An Envoy has one for each of its worker threads."""

PART_OF_ACCOUNT = 0.25
"""Of the share of all, how much one service account may have."""

MESSAGE_SECONDS = 0.0001
"""About what a message costs before anybody looks at it."""

SLICE_SECONDS = 0.002
LONGEST_WAIT_S = 5.0
OLDEST_S = 3600.0
"""A report that says it is older, or of the future, has the time at which it came."""


class Refused(Exception):
    """A stream that ends with this status."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.details = details


class ReportService:
    """Takes streams of reports, and adds them to *flows*; those of what is refused inside the mesh,
    or would be, to *refusals*.

    *clock* is monotonic, *cpu* is what this thread has used, *now* the time of day; in seconds.
    """

    def __init__(
        self,
        hub: Hub,
        flows: RecentFlows,
        refusals: RecentFlows,
        *,
        gate: Gate,
        metrics: Metrics,
        clock: Callable[[], float],
        cpu: Callable[[], float],
        now: Callable[[], float],
        limits: StreamLimits,
    ) -> None:
        self._hub = hub
        self._flows = flows
        self._refusals = refusals
        self._gate = gate
        self._metrics = metrics
        self._cpu = cpu
        self._now = now
        self._limits = limits
        self._share = Share(limits.report_share, clock)
        self._shares = Shares[Account](limits.report_share * PART_OF_ACCOUNT, clock)
        self._streams: Counter[SidecarId] = Counter()

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What a server registers: bytes in and bytes out."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "StreamAccessLogs": grpc.stream_unary_rpc_method_handler(self._serve)
        }
        return (grpc.method_handlers_generic_handler(REPORTS_SERVICE, handlers),)

    async def _serve(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        ended: Refused | None = None
        try:
            async with asyncio.timeout(self._gate.seconds_left(context)):
                await self._follow(aiter(requests), context)
        except TimeoutError:
            ended = Refused(grpc.StatusCode.UNAVAILABLE, "the credential of this connection ends")
        except Refused as refused:
            ended = refused
        # Not inside `except`: what gRPC raises would hold on to all that was sent.
        if ended is not None:
            caller = self._gate.caller(context)
            text = "reports of %s ended: %s: %s"
            log.warning(text, caller, ended.status.name, ended.details, extra=caller.fields)
            await context.abort(ended.status, ended.details)
        return bytes(als_pb2.StreamAccessLogsResponse().SerializeToString())

    async def _follow(self, reader: AsyncIterator[bytes], context: Context) -> None:
        first = await self._first(reader)
        if first is None:
            return
        message = _message(first)
        node = node_id(message)
        sidecar = _sidecar(node)
        account = self._account(sidecar, context)
        with self._one_more(sidecar, account) as share:
            await self._read(first, sidecar, account, share)
            async for data in reader:
                if account != self._account(sidecar, context):
                    text = f"the Pod {sidecar.namespace}/{sidecar.pod} is another now"
                    raise Refused(grpc.StatusCode.PERMISSION_DENIED, text)
                wait = max(share.wait, self._share.wait)
                if wait:
                    self._flows.shed += 1
                    self._metrics.report_messages.labels("shed").inc()
                    self._spend(share, MESSAGE_SECONDS)
                    # Meanwhile nothing is read, and the sidecar drops what it cannot send.
                    await asyncio.sleep(min(wait, LONGEST_WAIT_S))
                    continue
                await self._read(data, sidecar, account, share)

    async def _first(self, reader: AsyncIterator[bytes]) -> bytes | None:
        """A stream's first message; None if there is none."""
        wait = self._limits.first_request_wait
        try:
            async with asyncio.timeout(wait):
                return await anext(reader, None)
        except TimeoutError:
            text = f"nothing was sent within {wait:g} s"
        raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text)

    def _account(self, sidecar: SidecarId, context: Context) -> Account:
        """The account of the pod, for which the caller has proved that it may report. Raises
        Refused.
        """
        subscriber = self._gate.subscriber(context)
        token = self._gate.caller(context).token
        pod = self._hub.mesh.pod(sidecar)
        named = f"Pod {sidecar.namespace}/{sidecar.pod}"
        if token is not None and token.sidecar != sidecar:
            raise self._denied("other-pod", f"a token of another pod may not report as {named}")
        if subscriber is not None:
            theirs = sidecar.namespace if pod is None else pod.account
            if theirs not in (subscriber.account, subscriber.account.namespace):
                text = f"service account {subscriber.account} may not report as {named}"
                raise self._denied("other-account", f"{text}, which runs as another one")
            if pod is not None and not subscriber.means(pod):
                text = f"the token is not of the {named} that exists, but of another of this name"
                raise self._denied("other-uid", text)
        if pod is None:
            raise Refused(grpc.StatusCode.UNAVAILABLE, f"there is no {named} in the mesh")
        if not self._hub.reports(pod.namespace):
            text = f"nobody observes egress of namespace {pod.namespace}"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, text)
        return pod.account

    def _denied(self, reason: str, text: str) -> Refused:
        self._gate.count_refusal(Audience.SIDECARS, reason)
        return Refused(grpc.StatusCode.PERMISSION_DENIED, text)

    @contextlib.contextmanager
    def _one_more(self, sidecar: SidecarId, account: Account) -> Iterator[Share]:
        """While a stream is open; gives its account's share of time. Raises Refused."""
        exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
        if self._streams[sidecar] >= MOST_STREAMS_OF_POD:
            text = f"{MOST_STREAMS_OF_POD} streams of {sidecar} are open already"
            raise Refused(exhausted, f"{text}, which is the limit")
        if self._streams.total() >= self._limits.max_streams:
            raise Refused(exhausted, f"{self._limits.max_streams} streams are open (--max-streams)")
        self._streams[sidecar] += 1
        self._count_streams()
        try:
            with self._shares.use(account) as share:
                yield share
        finally:
            self._streams[sidecar] -= 1
            if not self._streams[sidecar]:
                del self._streams[sidecar]
            self._count_streams()

    def _count_streams(self) -> None:
        self._flows.streams = self._streams.total()
        self._metrics.report_streams.set(self._flows.streams)

    async def _read(self, data: bytes, sidecar: SidecarId, account: Account, share: Share) -> None:
        """Add what a message reports. Raises Refused if it is another pod's, or none."""
        began = self._cpu()
        message = _message(data)
        if node_id(message) not in ("", str(sidecar)):
            text = f"a message of a stream of {sidecar} says that it is another's"
            raise self._denied("other-pod", text)
        self._metrics.report_messages.labels("read").inc()
        self._spend(share, MESSAGE_SECONDS)
        now = self._now()
        for started, record in records(message):
            at = started if now - OLDEST_S < started <= now else now
            self._add(at, record, account)
            if (took := self._cpu() - began) > SLICE_SECONDS:
                self._spend(share, took)
                await asyncio.sleep(0)
                began = self._cpu()
        self._spend(share, self._cpu() - began)

    def _add(self, at: float, record: LogRecord, account: Account) -> None:
        inside = record.log == REFUSAL
        try:
            flow, address = self._refusal(record, account) if inside else read(record, account)
        except Unusable:
            flow, address = None, ""
        if flow is None:
            self._metrics.reports.labels("unused").inc()
            return
        self._metrics.reports.labels(flow.verdict).inc()
        flows = self._refusals if inside else self._flows
        flows.add(Report(at, flow, address), account)

    def _refusal(self, record: LogRecord, account: Account) -> tuple[Flow | None, str]:
        return read_refusal(record, account, partial(account_at, self._hub.mesh))

    def _spend(self, share: Share, seconds: float) -> None:
        share.spend(seconds)
        self._share.spend(seconds)


def _message(data: bytes) -> als_pb2.StreamAccessLogsMessage:
    try:
        return decoded(data)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


def _sidecar(node: str) -> SidecarId:
    if not node:
        text = "the first message must have an identifier whose node has an id, <pod>.<namespace>"
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text)
    try:
        return SidecarId.parse(node)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
