"""What a set of rules opens: ports with their address ranges, and where they lead."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from towpath.model.egress_plan import AddressRange, EgressPlan, EgressPort, EgressTargets, Ports
from towpath.planning.egress.address_ranges import egress_ports
from towpath.planning.egress.rules import Rule
from towpath.planning.egress.targets import targets

_SINGLE = "/32"


def egress_plan(rules: tuple[Rule, ...], *, passthrough: bool) -> EgressPlan:
    """The union of all rules."""
    ports = egress_ports(rules, passthrough=passthrough)
    single = (
        (port.number, range_.removesuffix(_SINGLE))
        for port in ports
        for address_range in port.address_ranges
        for range_ in address_range.ranges
        if range_.endswith(_SINGLE)
    )
    return EgressPlan(Ports(ports), EgressTargets(targets(rules)), frozenset(single))


def outside(opened: EgressPlan, taken: Collection[tuple[int, str]]) -> EgressPlan:
    """The plan without the ports and addresses that are *taken* by in-mesh destinations, which
    come before policies: there the two would contradict each other.
    """
    if not taken:
        return opened
    away = {(number, f"{address}{_SINGLE}") for number, address in taken}
    ports = (
        replace(port, address_ranges=tuple(_address_ranges(port, away)))
        if any(number == port.number for number, _ in taken)
        else port
        for port in opened.ports
    )
    return replace(opened, ports=Ports(ports))


def _address_ranges(port: EgressPort, away: Collection[tuple[int, str]]) -> list[AddressRange]:
    left = []
    for address_range in port.address_ranges:
        ranges = tuple(
            range_ for range_ in address_range.ranges if (port.number, range_) not in away
        )
        if ranges or not address_range.ranges:
            left.append(
                address_range
                if len(ranges) == len(address_range.ranges)
                else replace(address_range, ranges=ranges)
            )
    return left
