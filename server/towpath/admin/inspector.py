"""The Inspector service: what each sidecar was sent and answered, what it is to hold, what is
wrong with the input.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from ipaddress import IPv4Address
from itertools import islice
from typing import NoReturn

import grpc

from towpath.access.caller import Context
from towpath.admin.flows import flow_message, flow_of, judgement_message
from towpath.admin.leaves import LeafEnds
from towpath.admin.overview import Surroundings, counts_of, overview, reach_of_accounts
from towpath.admin.replaced import replaced
from towpath.admin.times import timestamp
from towpath.answers.audit import policies_enabled
from towpath.answers.explain import Explanation, read_question
from towpath.answers.foreseen import ForeseenRefusals
from towpath.answers.status import PolicyStatus
from towpath.encode.shown import shown
from towpath.hub.hub import Hub
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import ResourceSet, Snapshot
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Counts, Tally
from towpath.observe.recent import RecentFlows
from towpath.pause import Pause
from towpath.planning.egress.decide import Attempt
from towpath.rollout.records import WORST_FIRST, Delivery, Outcome, StreamRecord
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

FOLLOW_SECONDS = 1.0
"""How often those who follow flows are told of new reports."""

PAGE = 100
"""Flows of one message."""

NOT_LISTED = "not every kind of object is listed yet"

_OUTCOMES = {
    Outcome.REJECTING: pb.Sidecar.REJECTING,
    Outcome.POD_UNKNOWN: pb.Sidecar.POD_UNKNOWN,
    Outcome.UNANSWERED: pb.Sidecar.UNANSWERED,
    Outcome.ACCEPTED: pb.Sidecar.ACCEPTED,
}

LATELY_S = 3600.0
"""For so long the status says that something would be refused, after the last report of it."""

MOST_REFUSALS = 1_000

Reported = tuple[tuple[Flow, Counts], ...]
Policies = tuple[tuple[str, ...], ...]
"""Of many flows, those that each is due to."""


class Inspector(pb_grpc.InspectorServicer):
    """Answers from the hub; nothing here changes anything."""

    # gRPC passes the request and the context by position; the names are the protocol's.
    # ruff: noqa: ARG002, N802

    def __init__(
        self,
        hub: Hub,
        flows: RecentFlows | None = None,
        surroundings: Surroundings | None = None,
        *,
        refusals: RecentFlows | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._flows = RecentFlows() if flows is None else flows
        self._refusals = RecentFlows() if refusals is None else refusals
        self._surroundings = Surroundings() if surroundings is None else surroundings
        self._leaf_ends = LeafEnds()
        self._now = now

    async def ListSidecars(
        self, request: pb.ListSidecarsRequest, context: Context
    ) -> pb.ListSidecarsResponse:
        records = [
            one
            for one in self._hub.records
            if request.node_id in ("", one.node_id) and _contains(one, request.contains)
        ]
        counts = counts_of(records)
        if request.outcomes:
            records = [one for one in records if _OUTCOMES[one.outcome] in request.outcomes]
        records.sort(key=_worst if request.worst_first else _by_name)
        if request.limit:
            del records[request.limit :]
        sidecars, pause = list[pb.Sidecar](), Pause(time.monotonic)
        for record in records:
            sidecars.append(_sidecar(record, self._leaf_ends.of(record)))
            await pause.if_due()
        return pb.ListSidecarsResponse(sidecars=sidecars, counts=counts)

    async def GetSnapshot(
        self, request: pb.GetSnapshotRequest, context: Context
    ) -> pb.GetSnapshotResponse:
        kind, sidecar = await self._whose(request, context)
        snapshot = await self._hub.in_turn(self._hub.snapshot, kind, sidecar)
        if snapshot is None:
            await _no_pod(sidecar, context)
        types = _asked(snapshot, request)
        return pb.GetSnapshotResponse(version=snapshot.version, types=[_type(s) for s in types])

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: Context
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        kind, sidecar = await self._whose(request, context)
        versions: list[str] | None = None
        async with self._hub.watch(kind, sidecar) as watch:
            while (snapshot := await watch.next()) is not None:
                types = _asked(snapshot, request)
                if versions != (versions := [one.version for one in types]):
                    yield pb.WatchSnapshotResponse(
                        version=snapshot.version, types=[_type(one) for one in types]
                    )
        await _no_pod(sidecar, context)

    async def _whose(
        self, request: pb.GetSnapshotRequest | pb.WatchSnapshotRequest, context: Context
    ) -> tuple[ClientKind, SidecarId]:
        if not self._hub.ready:
            await context.abort(grpc.StatusCode.UNAVAILABLE, NOT_LISTED)
        try:
            return _kind(request.client_kind), SidecarId.parse(request.node_id)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def ListProblems(
        self, request: pb.ListProblemsRequest, context: Context
    ) -> pb.ListProblemsResponse:
        return listed(await self._hub.in_turn(self._hub.problems))

    async def ListPolicies(
        self, request: pb.ListPoliciesRequest, context: Context
    ) -> pb.ListPoliciesResponse:
        policies = await self._hub.in_turn(self._hub.policies)
        response = pb.ListPoliciesResponse(policies=[_policy(p) for p in policies])
        if self._hub.counts_refusals:
            response.counts_refusals = True
            response.silent_namespaces.extend(self._hub.silent_namespaces)
            begin = self._now() - LATELY_S
            items = (item for item in self._refusals.since(0) if item[1].last >= begin)
            would = (item for item in items if item[0].verdict is Verdict.WOULD_DENY)
            for page in _pages(list(islice(would, MOST_REFUSALS))):
                response.would_deny.extend(await self._messages(page, self._hub.targets_for))
            foreseen = await self._hub.in_turn(self._hub.foreseen, MOST_REFUSALS)
            response.foreseen.extend(map(_foreseen, foreseen))
        return response

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        try:
            return await self._hub.in_turn(answer, request, self._hub.explain)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def JudgeFlows(
        self, request: pb.JudgeFlowsRequest, context: Context
    ) -> pb.JudgeFlowsResponse:
        try:
            pairs = [flow_of(message) for message in request.flows]
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        flows = tuple((flow, tally.counts) for flow, tally in pairs)
        judgements = await self._hub.in_turn(self._hub.audit, flows)
        return pb.JudgeFlowsResponse(
            judgements=[judgement_message(judgement) for judgement in judgements],
            policies_enabled=policies_enabled(self._hub.mesh),
        )

    async def WatchFlows(
        self, request: pb.WatchFlowsRequest, context: Context
    ) -> AsyncIterator[pb.WatchFlowsResponse]:
        try:
            account = Account.parse(request.service_account) if request.service_account else None
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        since = request.since.seconds + request.since.nanos / 1e9
        flows = self._refusals if request.inside else self._flows
        due_to = self._hub.targets_for if request.inside else self._hub.due_to
        revision, complete = 0, False
        while True:
            earlier, revision = revision, flows.revision
            items = [
                (flow, tally)
                for flow, tally in flows.since(earlier)
                if account in (None, flow.account)
                and tally.last >= since
                and (flow.verdict is Verdict.DENY or not request.denied)
            ]
            for page in _pages(items):
                yield self._page(await self._messages(page, due_to))
            if not complete:
                complete = True
                yield self._page([], complete=True)
            if not request.follow:
                return
            await asyncio.sleep(FOLLOW_SECONDS)

    async def GetOverview(
        self, request: pb.GetOverviewRequest, context: Context
    ) -> pb.GetOverviewResponse:
        return await overview(self._hub, self._surroundings)

    async def ListReplaced(
        self, request: pb.ListReplacedRequest, context: Context
    ) -> pb.ListReplacedResponse:
        if not request.node_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "node_id is empty")
        return await replaced(self._hub, request.node_id)

    async def ListReach(
        self, request: pb.ListReachRequest, context: Context
    ) -> pb.ListReachResponse:
        if not self._hub.ready:
            await context.abort(grpc.StatusCode.UNAVAILABLE, NOT_LISTED)
        return await reach_of_accounts(self._hub, request)

    async def _messages(
        self, page: list[tuple[Flow, Tally]], due_to: Callable[[Reported], Policies]
    ) -> list[pb.Flow]:
        """Flows with the policies that they are due to."""
        reported = tuple((flow, tally.counts) for flow, tally in page)
        due = await self._hub.in_turn(due_to, reported)
        return [flow_message(*item, due_to=by) for item, by in zip(page, due, strict=True)]

    def _page(self, flows: list[pb.Flow], *, complete: bool = False) -> pb.WatchFlowsResponse:
        return pb.WatchFlowsResponse(
            flows=flows,
            complete=complete,
            streams=self._flows.streams,
            shed_messages=self._flows.shed,
            left_out=self._flows.left_out + self._refusals.left_out,
        )


def _pages(items: list[tuple[Flow, Tally]]) -> Iterator[list[tuple[Flow, Tally]]]:
    """The same in parts."""
    return (items[at : at + PAGE] for at in range(0, len(items), PAGE))


def answer(
    request: pb.ExplainRequest, explain: Callable[[Account | IPv4Address, Attempt], Explanation]
) -> pb.ExplainResponse:
    """Explain one request, on a server or without one. ValueError if it is not well-formed."""
    caller, attempt = read_question(
        request.service_account,
        request.to,
        method=request.method,
        headers=request.headers,
        address=request.address,
    )
    explanation = explain(caller, attempt)
    decision = explanation.decision
    return pb.ExplainResponse(
        allowed=decision.allowed,
        via=decision.via or "",
        policies=decision.policies,
        reasons=decision.reasons,
        problems=[_problem(problem) for problem in explanation.problems],
        suggestion=explanation.suggestion,
        sources=dict(explanation.policies),
    )


def listed(problems: Iterable[Problem]) -> pb.ListProblemsResponse:
    """Problems as the Inspector sends them."""
    return pb.ListProblemsResponse(problems=[_problem(problem) for problem in problems])


def _foreseen(one: ForeseenRefusals) -> pb.ForeseenRefusals:
    return pb.ForeseenRefusals(
        service_account=str(one.account),
        port=one.port,
        protocol=one.protocol,
        granted=one.granted,
        refused=one.refused,
        callers=map(str, one.callers),
    )


def _policy(status: PolicyStatus) -> pb.PolicyStatus:
    return pb.PolicyStatus(
        kind=status.ref.kind,
        namespace=status.ref.namespace,
        name=status.ref.name,
        accepted=status.accepted,
        in_conflict=status.in_conflict,
        affected_sidecars=status.counts.affected,
        acknowledged_sidecars=status.counts.acknowledged,
        rejecting_sidecars=status.counts.rejecting,
        problems=[_problem(problem) for problem in status.problems],
    )


def _by_name(record: StreamRecord) -> tuple[str, int]:
    return record.node_id, record.stream


def _worst(record: StreamRecord) -> tuple[int, str, int]:
    return WORST_FIRST.index(record.outcome), *_by_name(record)


def _contains(record: StreamRecord, text: str) -> bool:
    return text in record.node_id or text in str(record.account or "")


def _sidecar(delivery: StreamRecord, leaf_end: datetime | None) -> pb.Sidecar:
    types = sorted(delivery.types.items())
    subscriber = delivery.subscriber
    message = pb.Sidecar(
        stream_id=delivery.stream,
        peer=delivery.peer,
        node_id=delivery.node_id,
        pod=delivery.sidecar.pod,
        namespace=delivery.sidecar.namespace,
        service_account=delivery.account.name if delivery.account else "",
        client_kind=pb.Sidecar.ClientKind.Value(delivery.kind.name),
        variant=pb.Sidecar.Variant.Value(delivery.variant.upper()),
        state=pb.Sidecar.State.Value(delivery.state),
        connected_at=timestamp(delivery.connected_at),
        deliveries=[_delivery(type_url, delivery) for type_url, delivery in types],
        outcome=_OUTCOMES[delivery.outcome],
    )
    if subscriber is not None:
        message.identity = str(subscriber.account)
        message.credential = pb.Sidecar.Credential.Value(subscriber.credential.name)
        if subscriber.expires_at is not None:
            message.credential_expires_at.FromDatetime(subscriber.expires_at)
    if leaf_end is not None:
        message.certificate_expires_at.FromDatetime(leaf_end)
    return message


def _delivery(type_url: str, delivery: Delivery) -> pb.Delivery:
    message = pb.Delivery(
        type_url=type_url,
        subscribed_names=delivery.subscribed,
        responses=delivery.responses,
        acknowledgements=delivery.acknowledgements,
        rejections=delivery.rejections,
    )
    if delivery.sent:
        message.sent.version = delivery.sent.version
        message.sent.at.CopyFrom(timestamp(delivery.sent.at))
        message.sent.resource_count = len(delivery.sent.names)
    if delivery.acknowledged:
        message.acknowledged.version = delivery.acknowledged.version
        message.acknowledged.at.CopyFrom(timestamp(delivery.acknowledged.at))
    if delivery.rejected:
        message.rejected.version = delivery.rejected.version
        message.rejected.at.CopyFrom(timestamp(delivery.rejected.at))
        message.rejected.message = delivery.rejected.message
        message.rejected.resource_names.extend(delivery.rejected.names)
    return message


async def _no_pod(sidecar: SidecarId, context: Context) -> NoReturn:
    text = f"no Pod {sidecar.namespace}/{sidecar.pod} in the mesh"
    await context.abort(grpc.StatusCode.NOT_FOUND, text)


def _asked(
    snapshot: Snapshot, request: pb.GetSnapshotRequest | pb.WatchSnapshotRequest
) -> list[ResourceSet]:
    return [snapshot.of(url) for url in sorted(set(request.type_urls) or snapshot.sets)]


def _kind(kind: pb.Sidecar.ClientKind.ValueType) -> ClientKind:
    """ValueError for a number that this version has no name for."""
    if kind == pb.Sidecar.CLIENT_KIND_UNSPECIFIED:
        return ClientKind.ENVOY
    name = pb.Sidecar.ClientKind.Name(kind)
    return ClientKind[name]


def _type(of_type: ResourceSet) -> pb.TypeSnapshot:
    resources = [
        pb.SnapshotResource(
            name=name,
            version=of_type[name].version,
            resource=shown(of_type[name]),
        )
        for name in sorted(of_type)
    ]
    return pb.TypeSnapshot(type_url=of_type.type_url, version=of_type.version, resources=resources)


def _problem(problem: Problem) -> pb.Problem:
    return pb.Problem(
        kind=problem.object.kind,
        namespace=problem.object.namespace,
        name=problem.object.name,
        field=problem.field,
        reason=problem.reason,
        message=problem.message,
        source=problem.source,
        code=problem.code,
        severity=problem.severity,
    )
