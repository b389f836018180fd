"""What an injected sidecar is given by MeshConfig and annotations: lists of the redirect, images,
resources.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class RedirectLists:
    """What passes by the sidecar, and what alone goes through it; each sorted, without repeats.

    Ranges are IPv4 in canonical form. Exclusions win over `included_ranges`, which, if there are
    any, are all that is caught of what goes out.
    """

    excluded_outbound_ports: tuple[int, ...] = ()
    excluded_inbound_ports: tuple[int, ...] = ()
    excluded_ranges: tuple[str, ...] = ()
    included_ranges: tuple[str, ...] = ()
    excluded_interfaces: tuple[str, ...] = ()

    def union(self, other: RedirectLists) -> RedirectLists:
        return RedirectLists(
            _union(self.excluded_outbound_ports, other.excluded_outbound_ports),
            _union(self.excluded_inbound_ports, other.excluded_inbound_ports),
            sorted_ranges({*self.excluded_ranges, *other.excluded_ranges}),
            sorted_ranges({*self.included_ranges, *other.included_ranges}),
            tuple(sorted({*self.excluded_interfaces, *other.excluded_interfaces})),
        )


def _union(mine: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({*mine, *others}))


def sorted_ranges(ranges: set[str]) -> tuple[str, ...]:
    """In the order of the addresses, the longest of several that begin alike last."""
    return tuple(sorted(ranges, key=IPv4Network))


Amounts = tuple[tuple[str, str], ...]
"""Quantities by the name of the resource (`cpu`, `memory`), sorted."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a container asks for, and what it may have at most; empty where nothing is said."""

    requests: Amounts = ()
    limits: Amounts = ()


@dataclass(frozen=True, slots=True)
class SidecarDefaults:
    """What a MeshConfig says of the sidecars that are injected; "" and empty: nothing.

    `redirects` is false where something else, such as a CNI plugin, redirects pods' traffic. With
    `calls_pod_ip` a sidecar reaches its application at the pod's address, not on loopback.
    """

    image: str = ""
    init_image: str = ""
    resources: Resources = Resources()
    privileged_init: bool = False
    redirects: bool = True
    calls_pod_ip: bool = False
    lists: RedirectLists = RedirectLists()
