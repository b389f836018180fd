"""Flows and judgements, as messages carry them."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from towpath.admin.times import timestamp
from towpath.answers.audit import Judgement
from towpath.model.addresses import is_ipv4
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import MOST_ADDRESSES, Tally
from towpath_api.v1 import inspector_pb2 as pb


def flow_message(flow: Flow, tally: Tally, *, due_to: tuple[str, ...] | None = None) -> pb.Flow:
    """A flow with its tally; *due_to* are the policies, if others than the sidecar named."""
    return pb.Flow(
        service_account=str(flow.account) if flow.account else "",
        pod_address=flow.pod_address,
        host=flow.host,
        address=flow.address,
        port=flow.port,
        protocol=flow.protocol,
        verdict=pb.Flow.Verdict.Value(flow.verdict.name),
        policies=flow.policies if due_to is None else due_to,
        passthrough=flow.passthrough,
        method=flow.method,
        path=flow.path,
        count=tally.count,
        first=timestamp(tally.first),
        last=timestamp(tally.last),
        addresses=tally.addresses,
    )


def flow_of(message: pb.Flow) -> tuple[Flow, Tally]:
    """The inverse of `flow_message`. Raises ValueError, which names the field."""
    for name in ("address", "pod_address"):
        if (text := getattr(message, name)) and not is_ipv4(text):
            raise ValueError(f"flows.{name} is {text!r}, allowed is an IPv4 address")
    if not 0 < message.port < 65536:
        raise ValueError(f"flows.port is {message.port}, allowed is 1 to 65535")
    if message.protocol not in set(Protocol):
        allowed = ", ".join(Protocol)
        raise ValueError(f"flows.protocol is {message.protocol!r}, allowed is {allowed}")
    if message.verdict not in (pb.Flow.ALLOW, pb.Flow.DENY, pb.Flow.WOULD_DENY):
        allowed = "ALLOW, DENY or WOULD_DENY"
        raise ValueError(f"flows.verdict is {message.verdict}, allowed is {allowed}")
    flow = Flow(
        account=Account.parse(message.service_account) if message.service_account else None,
        pod_address=message.pod_address,
        host=message.host,
        address=message.address,
        port=message.port,
        protocol=Protocol(message.protocol),
        verdict=Verdict[pb.Flow.Verdict.Name(message.verdict)],
        policies=tuple(message.policies),
        passthrough=message.passthrough,
        method=message.method,
        path=message.path,
    )
    return flow, _tally(message)


def judgement_message(judgement: Judgement) -> pb.Judgement:
    """What would become of a flow."""
    return pb.Judgement(
        service_account=str(judgement.account) if judgement.account else "",
        inside=judgement.inside,
        stay=judgement.stay,
        refused=judgement.refused,
        unclear=judgement.unclear,
        policies=judgement.policies,
        reason=judgement.reason,
    )


def judgement_of(message: pb.Judgement) -> Judgement:
    """The inverse of `judgement_message`."""
    return Judgement(
        account=Account.parse(message.service_account) if message.service_account else None,
        inside=message.inside,
        stay=message.stay,
        refused=message.refused,
        unclear=message.unclear,
        policies=tuple(message.policies),
        reason=message.reason,
    )


def _tally(message: pb.Flow) -> Tally:
    addresses = dict(message.addresses)
    if len(addresses) > MOST_ADDRESSES:
        raise ValueError(f"flows.addresses has {len(addresses)}, allowed are {MOST_ADDRESSES}")
    for address in addresses:
        if not is_ipv4(address):
            raise ValueError(f"flows.addresses has {address!r}, allowed are IPv4 addresses")
    if sum(addresses.values()) > message.count:
        raise ValueError(f"flows.addresses has more reports than flows.count: {message.count}")
    return Tally(_seconds(message.first), _seconds(message.last), message.count, addresses)


def _seconds(stamp: Timestamp) -> float:
    return stamp.seconds + stamp.nanos / 1e9
