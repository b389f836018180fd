"""One stream's tasks: one reads requests, the other takes the newest snapshot; each in its turn
steps the session and writes what it says.

A sidecar that does not read is never written ahead of: it holds up only itself, and gets the
newest state when it reads again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext

import grpc

from towpath.hub.stream import Stream
from towpath.model.snapshot import Snapshot
from towpath.model.text import printable, shorten
from towpath.model.types import ENDPOINTS
from towpath.rollout.clients import LONGEST_TEXT
from towpath.rollout.records import StreamRecords
from towpath.settings import StreamLimits
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.traces import NO_TRACES, Push, Traces
from towpath.xds.ahead import LARGE, Ahead
from towpath.xds.limits import LimitExceeded, RequestRate
from towpath.xds.messages import (
    Ack,
    DeltaRequest,
    Event,
    Nack,
    Reply,
    Request,
    Waited,
)
from towpath.xds.pace import Pace
from towpath.xds.requests import RequestParser
from towpath.xds.session import Session
from towpath.xds.shared import SharedSession
from towpath.xds.subscription import Subscription
from towpath.xds.variant import Variant
from towpath.xds.watchdog import ReadWatchdog
from towpath.xds.wire import Message, nonce_field

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[bytes, Message]

DETAILS_LENGTH = 500
"""Characters of a status' text: it goes out as metadata, of which a client takes 8 KiB, and one may
become 12 bytes there. What the text quotes was said by the client, and may be of any length.
"""


class Refused(Exception):
    """The stream ends with this status; *details* are made fit for it."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.details = printable(shorten(details, DETAILS_LENGTH))


async def first_snapshot(stream: Stream, *, wait: float) -> Snapshot:
    """What the stream's pod is to hold, for which *wait* seconds are waited at most."""
    sidecar = stream.record.sidecar
    try:
        async with asyncio.timeout(wait):
            snapshot, _ = await stream.next()
    except TimeoutError as error:
        raise Refused(
            grpc.StatusCode.NOT_FOUND,
            f"no Pod {sidecar.namespace}/{sidecar.pod} appeared within {wait:g} s "
            f"(node id {stream.record.node_id!r} means <pod>.<namespace>)",
        ) from error
    return snapshot


class Conversation:
    """One stream once it is known who speaks."""

    def __init__(
        self,
        stream: Stream,
        session: Session | SharedSession,
        context: Context,
        *,
        records: StreamRecords,
        metrics: Metrics,
        traces: Traces = NO_TRACES,
        clock: Callable[[], float],
        limits: StreamLimits,
        parser: RequestParser,
        watchdog: ReadWatchdog,
        ahead: Ahead,
        pace: Pace,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._spending = spending  # what the stream's opening still costs: see OpeningBudget
        self._limits = limits
        self._rate = RequestRate(limits, clock)
        self._stream = stream
        self._session = session
        stream.record.set_holding(session.holding, session.accepted)
        self._context = context
        self._records = records
        self._metrics = metrics
        self._clock = clock
        self._parser = parser
        self._watchdog = watchdog
        self._ahead = ahead
        self._pace = pace
        self._largest = 0  # bytes of the largest snapshot of which the client may hold a part
        self._traces = traces
        self._written_at: dict[str, float] = {}
        self._pushes: dict[str, Push] = {}  # by type URL, what is traced and not answered yet
        self._change: float | None = None  # the time of the change that it is busy with
        self._turn = asyncio.Lock()  # to step the session, and to write
        self._timer: asyncio.TimerHandle | None = None
        self._subscriptions: dict[str, Subscription] = {}  # that were noted

    async def prepare(
        self, snapshot: Snapshot | None = None, request: Request | None = None
    ) -> None:
        """Have it known what a step to that snapshot, or with that request, will compare; None: to
        the present one.
        """
        if snapshot is not None:
            self._largest = max(self._largest, snapshot.size)
        if self._largest < LARGE // 2:
            return  # nor is a pair of such large
        if snapshot is None:
            snapshot = self._session.snapshot
        if pairs := self._session.pairs(snapshot, request):
            await self._ahead.compare(self._stream.client, snapshot.vocabulary, pairs)

    async def begin(self, snapshot: Snapshot, first: Request) -> None:
        """Take the first request with the first snapshot, and answer it."""
        await self._pace.turn()
        await self.prepare(snapshot, first)
        with self._spending():
            self._rate.take(first.name_count)
            self._stream.record.step_to(snapshot.version)
            events = [*self._session.on_snapshot(snapshot), *self._session.on_request(first)]
            self._note_names(first.type_url)
        await self.carry_out(events)

    async def go_on(self, reader: AsyncIterator[bytes], variant: Variant) -> None:
        """Answer requests and push snapshots until the client ends the stream."""
        reading = asyncio.create_task(self._answer(reader, variant))
        reading.add_done_callback(lambda _: self._stream.wake())
        self._end_turn()
        try:
            while True:
                await self._stream.woken()
                if reading.done():
                    reading.result()
                    return
                async with self._turn:
                    await self._pace.turn()
                    await self._look()
                    self._end_turn()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _answer(self, reader: AsyncIterator[bytes], variant: Variant) -> None:
        """Take what the client says, for as long as it says something."""
        async for data in reader:
            request = await self._parser.parse(variant, data)
            async with self._turn:
                await self._pace.turn()
                await self._take(request)
                self._end_turn()

    async def _look(self) -> None:
        """Step to a new snapshot, or go on with what had to wait until now."""
        pushed = self._stream.take()
        if pushed is not None:
            snapshot, changed_at = pushed
            await self._step_to(snapshot, changed_at=changed_at)
        elif (deadline := self._session.deadline) is not None and deadline <= self._clock():
            await self.prepare()
            with self._spending():
                events = self._session.on_time()
            await self.carry_out(events)

    def _end_turn(self) -> None:
        """Note where that has left the client; have the stream looked at when a wait ends."""
        progress, deadline = self._session.progress, self._session.deadline
        settled = progress.at_rest and deadline is None
        if settled:
            self._change = None
        self._records.settled(self._stream.record, now=settled)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            left = max(deadline - self._clock(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(left, self._stream.wake)

    async def _step_to(self, snapshot: Snapshot, *, changed_at: float | None) -> None:
        await self.prepare(snapshot)
        self._stream.record.step_to(snapshot.version)
        await self.carry_out(self._session.on_snapshot(snapshot), changed_at=changed_at)

    async def _take(self, request: Request) -> None:
        self._rate.take(request.name_count)
        if (newer := self._stream.overtaken()) is not None:
            await self._step_to(newer, changed_at=None)
        await self.prepare(request=request)
        await self.carry_out(self._session.on_request(request))
        if not (isinstance(request, DeltaRequest) and request.nonce) or (
            request.subscribe or request.unsubscribe
        ):
            self._note_names(request.type_url)

    def _note_names(self, type_url: str) -> None:
        subscription = self._session.subscription(type_url)
        if subscription is self._subscriptions.get(type_url):
            return
        assert subscription is not None
        self._subscriptions[type_url] = subscription
        count = len(subscription.names)
        self._check_names(count)
        self._stream.record.subscribe(type_url, count)
        if type_url == ENDPOINTS:
            self._stream.subscribe(None if subscription.wildcard else subscription.names)

    def _check_names(self, count: int) -> None:
        """Each name costs work with each change: one client must not take all there is."""
        if count > (most := self._limits.max_names):
            text = f"{count:,} names of one type are asked for: at most {most:,} are allowed"
            raise LimitExceeded("names", f"{text} (--max-names)")

    async def carry_out(self, events: list[Event], *, changed_at: float | None = None) -> None:
        """Write what is to be said, and note what was learnt."""
        for event in events:
            match event:
                case Reply():
                    await self._write(event, changed_at=changed_at)
                case Ack():
                    self._acknowledged(event)
                case Nack():
                    self._rejected(event)
                case Waited():
                    result = "expired" if event.expired else "answered"
                    self._metrics.wait_seconds.labels(event.phase, result).observe(event.seconds)

    async def _write(self, reply: Reply, *, changed_at: float | None) -> None:
        message = reply.body, nonce_field(reply.nonce)
        size = len(message[0]) + len(message[1])
        begun = self._clock()
        with self._watchdog.write():
            await self._context.write(message)
        counts = self._metrics.of_type[reply.type_url]
        self._records.sent(
            self._stream.record,
            reply.type_url,
            version=reply.version,
            names=reply.names,
        )
        counts.responses.value += 1
        counts.bytes.value += size
        counts.resources.value += len(reply.names)
        now = self._clock()
        self._written_at[reply.type_url] = now
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s was sent %s version %s: %d resources, %d bytes",
                self._stream.record.node_id,
                counts.name,
                reply.version,
                len(reply.names),
                size,
                extra=self._fields(counts.name, reply.version),
            )
        if changed_at is not None:
            self._change = changed_at
            self._metrics.push_seconds.observe(now - changed_at)
        # What had to wait for an answer to the first responses is part of the change.
        if self._change is not None and self._traces.on:
            push = Push(self._change, self._stream.record.node_id, counts.name, reply.version)
            if self._traces.pushed(push, begun=begun, ended=now, size=size):
                self._pushes[reply.type_url] = push

    def _acknowledged(self, ack: Ack) -> None:
        whole = ack.type_url not in self._session.progress.lacking
        record = self._stream.record
        self._records.acknowledged(record, ack.type_url, version=ack.version, whole=whole)
        counts = self._metrics.of_type[ack.type_url]
        counts.acks.value += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s accepted %s version %s",
                record.node_id,
                counts.name,
                ack.version,
                extra=self._fields(counts.name, ack.version),
            )
        written = self._written_at.get(ack.type_url)
        if written is not None:
            now = self._clock()
            self._metrics.ack_seconds.observe(now - written)
            self._trace_answer(ack.type_url, written, now)

    def _trace_answer(self, type_url: str, written: float, now: float, fault: str = "") -> None:
        if self._pushes and (push := self._pushes.pop(type_url, None)) is not None:
            self._traces.answered(push, written=written, at=now, fault=fault)

    def _rejected(self, nack: Nack) -> None:
        message = shorten(nack.message, LONGEST_TEXT)
        self._records.rejected(
            self._stream.record,
            nack.type_url,
            version=nack.version,
            names=nack.names,
            message=message,
        )
        counts = self._metrics.of_type[nack.type_url]
        counts.nacks.value += 1
        log.warning(
            "%s rejected %s version %s (%s): %s",
            self._stream.record.node_id,
            counts.name,
            nack.version,
            ", ".join(nack.names) or "what of it is not known yet",
            message,
            extra=self._fields(counts.name, nack.version),
        )
        written = self._written_at.get(nack.type_url)
        if written is not None:
            self._trace_answer(nack.type_url, written, self._clock(), message)

    def _fields(self, kind: str, version: str) -> dict[str, str]:
        """What a line about one version of one type names."""
        record = self._stream.record
        return {
            "node": record.node_id,
            "account": str(record.account or ""),
            "peer": record.peer,
            "type": kind,
            "version": version,
        }
