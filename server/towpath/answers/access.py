"""Access: what a service account may reach, place by place, as its sidecars' plans say it.

A place is a part of all that can be dialled in which nothing but the request decides. Two plans are
cut along the lines of both, so that each place is one in either of them, and what is allowed there
can be compared. It is read from the plan that `planning.egress.decide` judges by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from towpath.model.egress import RequestMatch
from towpath.model.egress_plan import PASSTHROUGH, AddressRange, Host, ServerName
from towpath.model.names import Protocol
from towpath.model.plan import Outbound
from towpath.planning.egress.hosts import covers
from towpath.planning.egress.ranges import span

T = TypeVar("T", Host, ServerName)

ANYTHING = RequestMatch()
"""Any request, and where requests are not looked at: any connection."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection goes, and what it says at its beginning, outside the mesh.

    `block` is a CIDR, without those of other places within it; None is any other address. `host` is
    a name or a pattern `*.example.com`, without those of other places below it; None is any other.
    TCP is whatever is neither looked at as HTTP nor as TLS, and has no host.
    """

    port: int
    block: str | None
    protocol: Protocol
    host: str | None = None


class Means(StrEnum):
    """By what a place is open."""

    POLICY = "policy"  # one that names the host, or the requests
    BYTES = "bytes"  # one that allows any connection to the address
    PASSTHROUGH = "passthrough"


@dataclass(frozen=True, slots=True)
class Access:
    """What is allowed at a place: any of the requests, each with the policies that allow it.

    `policies` are all that speak of the place.
    """

    requests: tuple[tuple[RequestMatch, tuple[str, ...]], ...] = ()
    means: Means = Means.POLICY
    policies: tuple[str, ...] = ()


NONE = Access()


def places(one: Outbound, other: Outbound) -> Iterator[tuple[Place, Access, Access]]:
    """Every place in which two plans may differ, with what each of them allows there.

    Ports of which no policy speaks are no places: there passthrough alone decides.
    """
    mine, theirs = _Ranges.of_ports(one), _Ranges.of_ports(other)
    for port in sorted(mine.keys() | theirs.keys()):
        ranges, others = mine.get(port, _Ranges()), theirs.get(port, _Ranges())
        for block in _blocks({*ranges.by_block, *others.by_block}):
            here, there = ranges.around(block), others.around(block)
            if here == there and one.passthrough == other.passthrough:
                continue
            for protocol, host in _said(here, there):
                place = Place(port, block, protocol, host)
                yield place, _at(one, here, place), _at(other, there, place)


class _Ranges:
    """The address ranges of one port, by each of their blocks."""

    def __init__(self, ranges: Iterable[AddressRange] = ()) -> None:
        self.by_block: dict[str | None, AddressRange] = {
            block: one for one in ranges for block in one.ranges or (None,)
        }

    @classmethod
    def of_ports(cls, plan: Outbound) -> dict[int, _Ranges]:
        return {port.number: cls(port.address_ranges) for port in plan.egress.ports}

    def around(self, block: str | None) -> AddressRange | None:
        """The one with the narrowest block around *block*, which decides there."""
        for one in wider(block) if block else ():
            if one in self.by_block:
                return self.by_block[one]
        return self.by_block.get(None)


def wider(block: str) -> Iterator[str]:
    """The block, and all that contain it, the narrowest first."""
    first = span(block).start
    for length in range(int(block.partition("/")[2]), 0, -1):
        start = first >> 32 - length << 32 - length
        yield f"{'.'.join(str(byte) for byte in start.to_bytes(4))}/{length}"


def _blocks(blocks: Iterable[str | None]) -> Iterator[str | None]:
    """Any address first, then each block that is not wholly taken by those within it."""
    yield None
    ordered = sorted((span(b).start, -span(b).stop, b) for b in blocks if b is not None)
    free = {block: len(span(block)) for _, _, block in ordered}
    around: list[str] = []
    for start, _, block in ordered:
        while around and span(around[-1]).stop <= start:
            around.pop()
        if around:
            free[around[-1]] -= len(span(block))
        around.append(block)
    yield from (block for _, _, block in ordered if free[block])


def _said(*ranges: AddressRange | None) -> Iterator[tuple[Protocol, str | None]]:
    """What may be said there that either tells from other things."""
    yield Protocol.TCP, None
    there = [one for one in ranges if one is not None]
    for protocol, named in (
        (Protocol.HTTP, {host.host for one in there for host in one.hosts or ()}),
        (Protocol.HTTPS, {name.host for one in there for name in one.server_names}),
    ):
        yield protocol, None
        yield from ((protocol, host) for host in sorted(named))


def _at(plan: Outbound, there: AddressRange | None, place: Place) -> Access:
    """What a plan allows at a place, in the order of `planning.egress.decide`."""
    if there is None:
        return _passing(plan)
    match place.protocol:
        case Protocol.HTTP if there.hosts is not None:
            host = _named(there.hosts, place.host)
            if host is not None:
                return _requests(plan, there, host)
            if there.other_hosts in (None, PASSTHROUGH):
                return _passing(plan)
        case Protocol.HTTPS:
            name = _named(there.server_names, place.host)
            if name is not None:
                allowed = ((ANYTHING, name.policies),) if name.target else ()
                return Access(allowed, policies=name.policies)
            if there.tls_policies and there.other_tls is not None:
                return Access(((ANYTHING, there.tls_policies),), policies=there.tls_policies)
    return _bytes(plan, there)


def _requests(plan: Outbound, there: AddressRange, host: Host) -> Access:
    if host.otherwise is not None:
        return _bytes(plan, there)
    by_match = {route.match: route.policies for route in host.routes}
    return Access(tuple(sorted(by_match.items())), policies=host.policies)


def _bytes(plan: Outbound, there: AddressRange) -> Access:
    if there.bytes is None:
        return _passing(plan)
    return Access(((ANYTHING, there.bytes_policies),), Means.BYTES, there.bytes_policies)


def _passing(plan: Outbound) -> Access:
    return Access(((ANYTHING, ()),), Means.PASSTHROUGH) if plan.passthrough else NONE


def _named(names: Iterable[T], host: str | None) -> T | None:
    """The most exact of the names around *host*, which decides for it."""
    around = [one for one in names if host is not None and covers(one.host, host)]
    return max(around, key=lambda one: (one.host == host, len(one.host)), default=None)
