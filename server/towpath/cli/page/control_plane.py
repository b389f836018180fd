"""Asking the replicas for a page: in threads, and once for all who look at the same moment."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import click
import grpc
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from towpath.cli.judged import Audit, audited
from towpath.cli.page.reports import Items, Reports
from towpath.cli.replicas import Replicas
from towpath.cli.server import TIMEOUT_S
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

M = TypeVar("M")
R = TypeVar("R")

FRESH_S = 1.5
"""For how long an answer is shown without asking again."""

SHARE = 0.2
"""Which part of the time, at the most, is spent on one question that is asked again and again."""

AGAIN_S = 5.0
"""After so long a question that nobody has answered is asked again, however long that took."""

MOST_ANSWERS = 200
THREADS = 8


@dataclass(frozen=True, slots=True)
class Reading(Generic[M]):
    """What the replicas say, by their names, and why others say nothing. `fault` is why none does:
    then `messages` are the last that there were. `at` is their time, in seconds of the epoch.
    """

    messages: Mapping[str, M] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    at: float = 0.0

    @property
    def one(self) -> M | None:
        """What one of them says, where all say the same."""
        return next(iter(self.messages.values()), None)


@dataclass(slots=True)
class _Entry:
    """The last answer to one question, until when it is fresh, and who is asking now."""

    value: Any = None
    until: float = 0.0
    asking: asyncio.Task[Any] | None = None


class QuestionError(Exception):
    """The question cannot be read: what was typed is wrong."""


class ControlPlane:
    """The replicas of one control plane, asked by whoever looks at the page.

    *clock* is monotonic and *now* of the epoch, in seconds.
    """

    def __init__(
        self,
        replicas: Replicas,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._replicas = replicas
        self._clock = clock
        self.now = now
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ask")
        self._entries: OrderedDict[tuple[str, bytes], _Entry] = OrderedDict()
        self.reports = Reports()

    def close(self) -> None:
        """Ask nobody any more."""
        self.reports.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def overview(self) -> Reading[pb.GetOverviewResponse]:
        """How each replica and its mesh stand."""
        request = pb.GetOverviewRequest()
        return await self._ask("GetOverview", lambda channel: _stub(channel).GetOverview, request)

    async def sidecars(self, request: pb.ListSidecarsRequest) -> Reading[pb.ListSidecarsResponse]:
        """The streams of each replica."""
        return await self._ask("ListSidecars", lambda channel: _stub(channel).ListSidecars, request)

    async def policies(self) -> Reading[pb.ListPoliciesResponse]:
        """The policies, with the sidecars of each replica."""
        request = pb.ListPoliciesRequest()
        return await self._ask("ListPolicies", lambda channel: _stub(channel).ListPolicies, request)

    async def problems(self) -> Reading[pb.ListProblemsResponse]:
        """The problems that each replica lists."""
        request = pb.ListProblemsRequest()
        return await self._ask("ListProblems", lambda channel: _stub(channel).ListProblems, request)

    async def explanation(self, request: pb.ExplainRequest) -> Reading[pb.ExplainResponse]:
        """What each replica says of a request; QuestionError if that is not well-formed."""
        return await self._ask("Explain", lambda channel: _stub(channel).Explain, request)

    async def reach(self, request: pb.ListReachRequest) -> Reading[pb.ListReachResponse]:
        """What service accounts may reach."""
        return await self._ask("ListReach", lambda channel: _stub(channel).ListReach, request)

    async def resources(self, node_id: str) -> Reading[csds_pb2.ClientStatusResponse]:
        """What the sidecar of that node id is offered and holds."""
        request = csds_pb2.ClientStatusRequest()
        request.node_matchers.add().node_id.exact = node_id
        return await self._ask(
            "FetchClientStatus",
            lambda channel: (
                csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel).FetchClientStatus
            ),
            request,
        )

    async def audit(self, flows: Items) -> Audit:
        """What would become of flows if egress passthrough were off. NoAnswer."""
        return await self.in_thread(audited, flows, self._replicas)

    async def in_thread(self, call: Callable[..., R], *args: object) -> R:
        """What `call(*args)` gives, while others are served."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def follow_reports(self) -> None:
        """Follow what sidecars report to the replicas that there are now."""
        reading = await self.overview()
        if not reading.fault:
            channels = await self.in_thread(self._replicas.channels, [*reading.messages])
            self.reports.follow(channels)

    async def shared(self, key: str, work: Callable[[], Awaitable[R]], fresh_s: float) -> R:
        """What *work* gives, or gave a moment ago, once for all who want it."""
        return await self._fresh((key, b""), work, fresh_s)

    async def _ask(
        self,
        name: str,
        method: Callable[[grpc.Channel], grpc.UnaryUnaryMultiCallable[Any, M]],
        request: Any,
    ) -> Reading[M]:
        key = name, request.SerializeToString(deterministic=True)

        async def work() -> Reading[M]:
            try:
                answers = await self.in_thread(self._replicas.ask_by_channel, method, request)
            except click.UsageError as error:
                raise QuestionError(error.format_message()) from error
            except click.ClickException as error:
                entry = self._entries.get(key)
                last: Reading[M] = (entry and entry.value) or Reading()
                return replace(last, fault=error.format_message())
            return Reading(answers.messages, answers.faults, "", self.now())

        return await self._fresh(key, work, FRESH_S)

    async def _fresh(
        self, key: tuple[str, bytes], work: Callable[[], Awaitable[R]], fresh_s: float
    ) -> R:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > MOST_ANSWERS:
            self._entries.popitem(last=False)
        if entry.asking is None:
            if self._clock() < entry.until:
                value: R = entry.value
                return value
            entry.asking = asyncio.create_task(self._answer(entry, work, fresh_s))
            entry.asking.add_done_callback(_look_at)
        # Whoever goes away does not end it for the others.
        result: R = await asyncio.shield(entry.asking)
        return result

    async def _answer(self, entry: _Entry, work: Callable[[], Awaitable[R]], fresh_s: float) -> R:
        begun = self._clock()
        try:
            value = await work()
        finally:
            entry.asking = None
        took = min(self._clock() - begun, TIMEOUT_S)
        pause = max(fresh_s, took / SHARE - took)
        if isinstance(value, Reading) and value.fault:
            pause = min(pause, AGAIN_S)
        entry.value, entry.until = value, self._clock() + pause
        return value


def _look_at(task: asyncio.Task[Any]) -> None:
    """An error that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()


def _stub(channel: grpc.Channel) -> pb_grpc.InspectorStub:
    return pb_grpc.InspectorStub(channel)
