"""The ways out that a set of rules opens: ports with their zones, and where they lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from towpath.model.plan import Destination
from towpath.model.ways import EgressPort, Ways
from towpath.planning.egress.externals import externals
from towpath.planning.egress.rules import Rule
from towpath.planning.egress.zones import egress_ports


def ways(rules: tuple[Rule, ...], reachable: Iterable[Destination], *, passthrough: bool) -> Ways:
    """The union of all rules; in-mesh destinations come before policies."""
    ports = egress_ports(rules, passthrough=passthrough)
    return Ways(ports=_outside(ports, reachable), externals=externals(rules))


def _outside(
    ports: tuple[EgressPort, ...], reachable: Iterable[Destination]
) -> tuple[EgressPort, ...]:
    """Leave out zones that are one in-mesh address: there the two would contradict each other."""
    if not any(_single(zone.range) for port in ports for zone in port.zones):
        return ports
    taken = {(d.port, f"{address}/32") for d in reachable for address in d.addresses}
    return tuple(
        replace(port, zones=tuple(z for z in port.zones if (port.number, z.range) not in taken))
        for port in ports
    )


def _single(range_: str | None) -> bool:
    return range_ is not None and range_.endswith("/32")
