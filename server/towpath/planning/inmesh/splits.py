"""TrafficSplits: the services among which what is sent to a root is divided.

A backend is meant with the port of the root that was dialled. Its own split is not followed, so
that there is no way round in a circle.
"""

from __future__ import annotations

from typing import cast

from towpath.model.egress import HTTPRouteGroup, RequestMatch
from towpath.model.inmesh import TrafficSplit
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, Protocol
from towpath.model.plan import Branch, destination_name
from towpath.model.workloads import Service, ServicePort
from towpath.planning.entries import of_request
from towpath.planning.inmesh.limits import MOST_SHARES, without_room


def branches(mesh: Mesh, service: Service, port: ServicePort) -> tuple[Branch, ...]:
    """How what is sent to one port of a service is divided, in the order in which it is tried; none
    without a split.

    What no conditional split is about goes to the unconditional one, or else to the root.
    """
    splits = mesh.query(splits_of, service.namespace, service.name)
    if not splits or not can_be_dialled(service):
        return ()
    looks = port.protocol is Protocol.HTTP
    result = [
        Branch(split.label, matches, _shares(mesh, split, port.port))
        for split in splits
        if looks and split.route_groups is not None and (matches := mesh.query(matches_of, split))
    ]
    rest = unconditional(splits)
    if rest is not None:
        result.append(Branch(rest.label, (), _shares(mesh, rest, port.port)))
    elif result:
        root = destination_name(service.namespace, service.name, port.port)
        result.append(Branch("", (), ((root, 1),)))
    return tuple(result)


def splits_of(mesh: Mesh, namespace: str, root: str) -> tuple[TrafficSplit, ...]:
    """The splits of a root that divide something, oldest first."""
    members = mesh.group(Kind.TRAFFIC_SPLIT, ("root", namespace, root))
    splits = [split for split in cast("tuple[TrafficSplit, ...]", members) if not split.closed]
    closed = mesh.query(closed_splits, namespace) if splits else frozenset[str]()
    usable = (split for split in splits if split.name not in closed)
    return tuple(sorted(usable, key=lambda split: (split.created, split.name)))


def closed_splits(mesh: Mesh, namespace: str) -> frozenset[str]:
    """The splits of a namespace for which there is no room, by their names."""
    members = mesh.group(Kind.TRAFFIC_SPLIT, ("namespace", namespace))
    splits = (split for split in cast("tuple[TrafficSplit, ...]", members) if not split.closed)
    return without_room({one.name: mesh.query(_size, one) for one in splits}, MOST_SHARES)


def _size(mesh: Mesh, split: TrafficSplit) -> int:
    """How many shares it comes to, about: a request is said once, and each backend with it."""
    root = mesh.service(split.namespace, split.root)
    shares = max(1, sum(weight > 0 for _, weight in split.backends))
    if split.route_groups is not None:
        shares = sum(of_request(match) - 1 + shares for match in matches_of(mesh, split))
    return (len(root.ports) if root else 0) * shares


def unconditional(splits: tuple[TrafficSplit, ...]) -> TrafficSplit | None:
    """Of one root's splits, oldest first, the one that holds for all requests."""
    return next((split for split in splits if split.route_groups is None), None)


def matches_of(mesh: Mesh, split: TrafficSplit) -> tuple[RequestMatch, ...]:
    """The requests that a conditional split is about; of a group that is missing none."""
    groups = (
        cast("HTTPRouteGroup | None", mesh.get(Kind.HTTP_ROUTE_GROUP, split.namespace, name))
        for name in split.route_groups or ()
    )
    return tuple(dict.fromkeys(match for group in groups if group for match in group.matches))


def can_be_dialled(service: Service) -> bool:
    """True for a service with an address of its own, which a sidecar can put others behind."""
    return bool(service.cluster_ips) and not service.headless


def _shares(mesh: Mesh, split: TrafficSplit, port: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        sorted(
            (destination_name(split.namespace, name, port), weight)
            for name, weight in split.backends
            if weight and _has_port(mesh.service(split.namespace, name), port)
        )
    )


def _has_port(service: Service | None, port: int) -> bool:
    if service is None or not can_be_dialled(service):
        return False
    return any(one.port == port for one in service.ports)
