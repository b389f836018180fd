"""What sidecars have reported to a control plane: read once, or followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import grpc

from towpath.admin.flows import flow_of
from towpath.cli.place import Place
from towpath.cli.replicas import replicas_of
from towpath.model.names import Account
from towpath.observe.flow import Flow
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

TIMEOUT_S = 60.0
"""For all flows of a server, which come in many messages."""

Items = list[tuple[Flow, Tally]]


@dataclass(slots=True)
class LiveReading:
    """The flows that a control plane has, and what it says of those that it does not have; which of
    its replicas are `silent`, and why.
    """

    flows: Items = field(default_factory=list)
    streams: int = 0
    shed: int = 0
    left_out: int = 0
    silent: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """True if every replica has answered."""
        return not self.silent

    @property
    def certain(self) -> bool:
        """True if nothing of what was reported is missing."""
        return not (self.shed or self.left_out)

    def add(self, response: pb.WatchFlowsResponse) -> None:
        """Take in one message."""
        self.flows += map(flow_of, response.flows)
        self.streams = response.streams
        self.shed, self.left_out = response.shed_messages, response.left_out

    def add_replica(self, other: LiveReading) -> None:
        """Take in what another replica has: a sidecar reports to the one that it is connected to,
        and after that to another.
        """
        tallies = dict(self.flows)
        for flow, tally in other.flows:
            if flow in tallies:
                tallies[flow].merge(tally)
            else:
                tallies[flow] = tally
        self.flows = list(tallies.items())
        self.streams += other.streams
        self.shed += other.shed
        self.left_out += other.left_out

    def remarks(self) -> Iterator[str]:
        """What is to be said of reports that are not counted in flows."""
        yield from self.silent
        if not self.streams:
            yield (
                "no sidecar reports to this server: spec.observability.observeEgress of the "
                "MeshConfig would be reports (or use --access-log)"
            )
        if self.shed:
            yield f"{self.shed} messages with reports were shed for lack of time"
        if self.left_out:
            yield f"{self.left_out} reports are left out: there are too many flows"


def read_live(
    place: Place,
    *,
    source: Account | None,
    since: datetime | None,
    denied: bool = False,
    inside: bool = False,
) -> LiveReading:
    """All flows of a control plane; with *inside* what was refused in the mesh. NoAnswer if it
    gives none.
    """
    request = _request(source=source, since=since, denied=denied, inside=inside)

    def read(channel: grpc.Channel) -> LiveReading:
        reading = LiveReading()
        stub = pb_grpc.InspectorStub(channel)
        for response in stub.WatchFlows(request, timeout=TIMEOUT_S):
            reading.add(response)
        return reading

    with replicas_of(place) as replicas:
        answers = replicas.each(read)
    reading = LiveReading(
        silent=[f"{name}: no answer: {why}" for name, why in answers.faults.items()]
    )
    for one in answers.messages.values():
        reading.add_replica(one)
    return reading


def follow_live(
    place: Place, *, source: Account | None, since: datetime | None, denied: bool, inside: bool
) -> Iterator[Items]:
    """The flows of a control plane, and then without end those of which there are new reports."""
    request = _request(source=source, since=since, denied=denied, inside=inside)
    request.follow = True
    with replicas_of(place) as replicas:
        for response in replicas.follow(
            lambda channel: pb_grpc.InspectorStub(channel).WatchFlows(request)
        ):
            yield [flow_of(message) for message in response.flows]


def _request(
    *, source: Account | None, since: datetime | None, denied: bool, inside: bool
) -> pb.WatchFlowsRequest:
    request = pb.WatchFlowsRequest(service_account=str(source or ""), denied=denied, inside=inside)
    if since is not None:
        request.since.FromDatetime(since)
    return request
