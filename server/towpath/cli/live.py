"""What sidecars have reported to a running server: read once, or followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from towpath.admin.flows import flow_of
from towpath.cli.server import NoAnswer, Server, inspector
from towpath.model.names import Account
from towpath.observe.flow import Flow
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb

TIMEOUT_S = 60.0
"""For all flows of a server, which come in many messages."""

Items = list[tuple[Flow, Tally]]


@dataclass(slots=True)
class LiveReading:
    """The flows that a server has, and what it says of those that it does not have."""

    flows: Items = field(default_factory=list)
    streams: int = 0
    shed: int = 0
    left_out: int = 0

    @property
    def certain(self) -> bool:
        """True if nothing of what was reported is missing."""
        return not (self.shed or self.left_out)

    def add(self, response: pb.WatchFlowsResponse) -> None:
        """Take in one message."""
        self.flows += map(flow_of, response.flows)
        self.streams = response.streams
        self.shed, self.left_out = response.shed_messages, response.left_out

    def remarks(self) -> Iterator[str]:
        """What is to be said of reports that are not counted in flows."""
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
    server: Server,
    *,
    source: Account | None,
    since: datetime | None,
    denied: bool = False,
    inside: bool = False,
) -> LiveReading:
    """All flows of a server; with *inside* what was refused in the mesh. NoAnswer if it gives
    none.
    """
    reading = LiveReading()
    with inspector(server, failure=NoAnswer) as stub:
        request = _request(source=source, since=since, denied=denied, inside=inside)
        for response in stub.WatchFlows(request, timeout=TIMEOUT_S):
            reading.add(response)
    return reading


def follow_live(
    server: Server, *, source: Account | None, since: datetime | None, denied: bool, inside: bool
) -> Iterator[Items]:
    """The flows of a server, and then without end those of which there are new reports."""
    with inspector(server, failure=NoAnswer) as stub:
        request = _request(source=source, since=since, denied=denied, inside=inside)
        request.follow = True
        for response in stub.WatchFlows(request):
            yield [flow_of(message) for message in response.flows]


def _request(
    *, source: Account | None, since: datetime | None, denied: bool, inside: bool
) -> pb.WatchFlowsRequest:
    request = pb.WatchFlowsRequest(service_account=str(source or ""), denied=denied, inside=inside)
    if since is not None:
        request.since.FromDatetime(since)
    return request
