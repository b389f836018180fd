"""Address ranges that lie within each other, in one pass over all of them.

Two CIDRs are disjoint, or one is inside the other. So in the order of their first addresses, the
wider first, what is around a range is what was begun before it and has not ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

EVERYWHERE = "0.0.0.0/0"
"""The range that is no narrower than any address: a data plane does not tell the two apart."""

Owners = frozenset[int]


def span(range_: str) -> range:
    """The addresses of a canonical IPv4 CIDR, as numbers."""
    address, _, length = range_.partition("/")
    first = 0
    for part in address.split("."):
        first = first << 8 | int(part)
    return range(first, first + (1 << 32 - int(length)))


def owned(ranges: Iterable[tuple[str, int]]) -> Mapping[str, Owners]:
    """Who owns each range; an owner may come several times."""
    by_range: dict[str, set[int]] = {}
    for range_, owner in ranges:
        by_range.setdefault(range_, set()).add(owner)
    shared: dict[Owners, Owners] = {}
    return {
        range_: shared.setdefault(owners, owners)
        for range_, owners in ((range_, frozenset(own)) for range_, own in by_range.items())
    }


def by_owners(owners_of: Mapping[str, Owners]) -> Iterable[tuple[str, Owners]]:
    """Each range with the owners of all ranges that contain it, itself among them.

    In the order of addresses. A range that has the same owners as the one around it is left out.
    """
    around: list[tuple[int, Owners]] = []
    joined: dict[tuple[Owners, Owners], Owners] = {}
    spans = ((span(range_), range_) for range_ in owners_of)
    for addresses, range_ in sorted(spans, key=lambda one: (one[0].start, -one[0].stop)):
        while around and around[-1][0] <= addresses.start:
            around.pop()
        outer = around[-1][1] if around else frozenset()
        own = owners_of[range_]
        here = joined.get((outer, own))
        if here is None:
            here = joined[outer, own] = outer | own
        if len(here) > len(outer):
            around.append((addresses.stop, here))
            yield range_, here
