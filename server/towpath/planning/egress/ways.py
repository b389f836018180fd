"""The ways out that a set of rules opens: ports with their zones, and where they lead."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from towpath.model.ways import EgressPort, Externals, Ports, Ways, Zone
from towpath.planning.egress.externals import externals
from towpath.planning.egress.rules import Rule
from towpath.planning.egress.zones import egress_ports

_SINGLE = "/32"


def ways(rules: tuple[Rule, ...], *, passthrough: bool) -> Ways:
    """The union of all rules."""
    ports = egress_ports(rules, passthrough=passthrough)
    single = (
        (port.number, range_.removesuffix(_SINGLE))
        for port in ports
        for zone in port.zones
        for range_ in zone.ranges
        if range_.endswith(_SINGLE)
    )
    return Ways(Ports(ports), Externals(externals(rules)), frozenset(single))


def outside(opened: Ways, taken: Collection[tuple[int, str]]) -> Ways:
    """The ways without the ports and addresses that are *taken* by in-mesh destinations, which
    come before policies: there the two would contradict each other.
    """
    if not taken:
        return opened
    away = {(number, f"{address}{_SINGLE}") for number, address in taken}
    ports = (
        replace(port, zones=tuple(_zones(port, away)))
        if any(number == port.number for number, _ in taken)
        else port
        for port in opened.ports
    )
    return replace(opened, ports=Ports(ports))


def _zones(port: EgressPort, away: Collection[tuple[int, str]]) -> list[Zone]:
    left = []
    for zone in port.zones:
        ranges = tuple(range_ for range_ in zone.ranges if (port.number, range_) not in away)
        if ranges or not zone.ranges:
            left.append(zone if len(ranges) == len(zone.ranges) else replace(zone, ranges=ranges))
    return left
