"""Whom a Pipy sidecar lets connect to a port: its scripts know addresses, and no certificates."""

from __future__ import annotations

from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.model.plan import InboundPort, Permit

ANY_REQUEST = RequestMatch()


def admitted_to(port: InboundPort) -> dict[str, str] | None:
    """The addresses and CIDR blocks that may connect to a port, each with the policy that says so;
    None for everybody.

    Who may connect may ask for anything, so that where requests are seen it is those alone to whom
    all of them are granted. A port that the kubelet probes admits nobody else, as nobody says from
    which address it does.
    """
    if port.permits is None:
        return None
    if port.health:
        return {}
    blocks = {block: one.policy for one in port.plain_ingress for block in one.ranges}
    granted = {
        address: permit.policy
        for permit in port.permits
        if grants_whole(port, permit)
        for address in permit.addresses
    }
    return blocks | granted


def grants_whole(port: InboundPort, permit: Permit) -> bool:
    """True if whoever it is for may send anything there."""
    return port.protocol is not Protocol.HTTP or ANY_REQUEST in permit.requests
