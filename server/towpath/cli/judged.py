"""Flows, judged by a folder of manifests or a running server: for `audit` and `suggest`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from towpath.admin.flows import flow_message, judgement_of
from towpath.answers.audit import Judgement
from towpath.app import Offline
from towpath.cli.access_log import flow_order
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server, inspector
from towpath.model.names import Account
from towpath.observe.flow import Flow
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb

_LARGEST = 48 << 10
"""In bytes, of one request: a server takes 64 KiB."""

POLICIES_OFF = (
    "egress policies are off: without spec.featureFlags.enableEgressPolicy of the MeshConfig none "
    "has an effect"
)


Item = tuple[Flow, Tally, Judgement]


@dataclass(frozen=True, slots=True)
class Audit:
    """Flows in their order, each with its tally and what would become of it."""

    items: tuple[Item, ...]
    policies_enabled: bool

    @property
    def refused(self) -> list[Item]:
        """Those of which something would be refused, or may be."""
        return [item for item in self.items if item[2].refused or item[2].unclear]

    @property
    def unclear(self) -> list[Item]:
        """Those of which nothing is sure to be refused, but something may be."""
        return [item for item in self.items if item[2].unclear and not item[2].refused]

    @property
    def unknown(self) -> int:
        """How many cannot be judged, since nobody knows whose they are."""
        return sum(1 for _, _, one in self.items if one.account is None and not one.inside)


def audited(
    flows: Iterable[tuple[Flow, Tally]], judge: Offline | Server, *, source: Account | None = None
) -> Audit:
    """Judge the flows (of *source*; None: all); NoAnswer if a server gives none."""
    ordered = sorted(flows, key=flow_order)
    if isinstance(judge, Offline):
        judgements = [judge.judge(flow, tally.counts) for flow, tally in ordered]
        enabled = judge.policies_enabled
    else:
        judgements, enabled = _asked(judge, ordered)
    items = zip(ordered, judgements, strict=True)
    complete = ((*item, one) for item, one in items if source in (None, one.account))
    return Audit(tuple(_merged(complete)), enabled)


def _merged(items: Iterable[Item]) -> list[Item]:
    """The same, with the flows of all pods of one account in one."""
    by_flow: dict[Flow, tuple[Tally, Judgement]] = {}
    for flow, tally, judgement in items:
        if judgement.account is not None:
            flow = replace(flow, account=judgement.account, pod_address="")  # noqa: PLW2901
        if flow in by_flow:
            total, others = by_flow[flow]
            total.merge(tally)
            by_flow[flow] = total, others.with_others(judgement)
        else:
            by_flow[flow] = tally, judgement
    return sorted(((flow, *rest) for flow, rest in by_flow.items()), key=flow_order)


def _asked(server: Server, flows: list[tuple[Flow, Tally]]) -> tuple[list[Judgement], bool]:
    judgements: list[Judgement] = []
    enabled = True
    with inspector(server, failure=NoAnswer) as stub:
        for request in _requests(flows):
            answer = stub.JudgeFlows(request, timeout=TIMEOUT_S)
            judgements += map(judgement_of, answer.judgements)
            enabled = answer.policies_enabled
    return judgements, enabled


def _requests(flows: list[tuple[Flow, Tally]]) -> Iterator[pb.JudgeFlowsRequest]:
    """As many requests as it takes; one at least."""
    request, size = pb.JudgeFlowsRequest(), 0
    for flow, tally in flows:
        message = flow_message(flow, tally)
        size += message.ByteSize() + 8
        if size > _LARGEST and request.flows:
            yield request
            request, size = pb.JudgeFlowsRequest(), message.ByteSize() + 8
        request.flows.append(message)
    yield request
