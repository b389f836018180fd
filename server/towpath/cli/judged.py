"""Flows, judged by a folder of manifests or a control plane: for `audit` and `suggest`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from towpath.admin.flows import flow_message, judgement_of
from towpath.answers.audit import Judgement
from towpath.app import Offline
from towpath.cli.access_log import Reading, flow_order, log_options, read_reports
from towpath.cli.folder import MESH, OR_ELSE, offline
from towpath.cli.live import LiveReading
from towpath.cli.place import Place, folder_or_place_options
from towpath.cli.replicas import Replicas, replicas_of, warn
from towpath.cli.server import NoAnswer
from towpath.cli.settings import setting_options
from towpath.model.names import Account
from towpath.observe.flow import Flow
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb

F = TypeVar("F", bound=Callable[..., Any])

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


def judged_options(command: F) -> F:
    """Add what says which flows are judged, and by what, to a command, which is given the
    `reading`, its `judge` and the account `source` (None: all).
    """

    @functools.wraps(command)
    def with_reading(
        *,
        manifests: Path | None,
        place: Place | None,
        osm_namespace: str,
        access_log: str | None,
        account: Account | None,
        source: Account | None,
        since: datetime | None,
        paths: bool,
        **rest: Any,
    ) -> Any:
        mesh = {name: rest.pop(name) for name in MESH if name in rest}
        folder = None
        if place is None:
            folder = offline(manifests, or_else=OR_ELSE, osm_namespace=osm_namespace, **mesh)
        judge = place or folder
        reading = read_reports(
            access_log, place, folder, account=account, source=source, since=since, paths=paths
        )
        return command(judge=judge, reading=reading, source=source, **rest)

    options = (setting_options(*MESH), folder_or_place_options, log_options)
    decorated: Any = with_reading
    for add in reversed(options):
        decorated = add(decorated)
    return cast("F", decorated)


def audited(
    flows: Iterable[tuple[Flow, Tally]],
    judge: Offline | Place | Replicas,
    *,
    source: Account | None = None,
) -> Audit:
    """Judge the flows (of *source*; None: all); NoAnswer if a control plane gives none."""
    ordered = sorted(flows, key=flow_order)
    if isinstance(judge, Offline):
        judgements = [judge.judge(flow, tally.counts) for flow, tally in ordered]
        enabled = judge.policies_enabled
    elif isinstance(judge, Replicas):
        judgements, enabled, _ = _answers(judge, ordered)
    else:
        with replicas_of(judge) as replicas:
            judgements, enabled, faults = _answers(replicas, ordered)
        warn(faults)
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


def _answers(
    replicas: Replicas, flows: list[tuple[Flow, Tally]]
) -> tuple[list[Judgement], bool, dict[str, str]]:
    """What the replicas say, and why some do not; NoAnswer if they do not agree."""
    judgements: list[Judgement] = []
    enabled = True
    faults: dict[str, str] = {}
    for request in _requests(flows):
        answers = replicas.ask(lambda stub: stub.JudgeFlows, request)
        first, *others = answers.messages.values()
        if any(one != first for one in others):
            raise NoAnswer(
                f"{', '.join(answers.messages)} do not judge alike: one of them has not seen "
                "the last change yet, so ask again"
            )
        judgements += map(judgement_of, first.judgements)
        enabled = first.policies_enabled
        faults |= answers.faults
    return judgements, enabled, faults


def verdict_code(reading: Reading | LiveReading, *, certain: bool) -> int:
    """The exit code: 0 if the answer is certainly that all leaves, 2 if it is not a whole one."""
    if not reading.whole:
        return NoAnswer.exit_code
    return 0 if certain and reading.certain else 1


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
