"""How much there is to encode of a plan's part: what is much, is encoded where nobody waits."""

from __future__ import annotations

from itertools import chain

from towpath.model.egress_plan import EgressPlan
from towpath.model.plan import Branch, Destinations, Inbound, InboundPort, Outbound


def size(planned: object) -> int:
    """How many things there are to encode, about."""
    match planned:
        case EgressPlan():
            address_ranges = (
                address_range for port in planned.ports for address_range in port.address_ranges
            )
            names = sum(
                len(z.ranges) + len(z.hosts or ()) + len(z.server_names) for z in address_ranges
            )
            return names + len(planned.targets)
        case Outbound():
            return len(planned.destinations) + size(planned.egress)
        case Inbound():
            return sum(map(_of_port, planned.ports))
        case Destinations():
            return len(planned) + sum(
                map(_of_branch, chain.from_iterable(one.branches for one in planned))
            )
        case tuple():
            return len(planned)
        case _:
            return 0


def _of_port(port: InboundPort) -> int:
    """How much policies say of it."""
    permits = (*(port.permits or ()), *(port.shadow or ()))
    let_in = sum(len(one.addresses) + len(one.names) + len(one.requests) for one in permits)
    beside = sum(len(one.ranges) + len(one.names) for one in port.ingress)
    return 1 + let_in + beside + len(port.limits.routes)


def _of_branch(branch: Branch) -> int:
    return max(1, len(branch.matches)) * max(1, len(branch.shares))
