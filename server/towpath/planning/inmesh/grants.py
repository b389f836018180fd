"""TrafficTargets: who may call the pods of a service account, on which ports, with which requests.

A target grants its sources, its ports and its requests together, and nothing mixed of two targets.
All grants add up, in any order; what cannot be read, or is missing, grants nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from towpath.model.egress import HTTPRouteGroup, RequestMatch
from towpath.model.inmesh import RouteReference, TCPRoute, TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Permit


def by_policies(mesh: Mesh) -> bool:
    """True if policies alone let anyone in: permissive mode is off, and nobody else is asked."""
    switches = mesh.config()
    return switches is not None and not switches.permissive and not switches.external_authorization


def permits(mesh: Mesh, account: Account, port: int, protocol: Protocol) -> tuple[Permit, ...]:
    """What all targets let in on one port of the account's pods."""
    result = []
    for target in targets_of(mesh, account):
        requests = mesh.query(granted_requests, target, port, protocol)
        addresses, names = mesh.query(callers, target)
        if requests is not None and addresses:
            result.append(Permit(target.label, addresses, names, requests))
    return tuple(result)


def targets_of(mesh: Mesh, account: Account) -> tuple[TrafficTarget, ...]:
    """The targets that let somebody call the account's pods, by name."""
    members = mesh.group(Kind.TRAFFIC_TARGET, ("destination", account.namespace, account.name))
    targets = cast("tuple[TrafficTarget, ...]", members)
    return tuple(target for target in targets if not target.closed)


def granted_requests(
    mesh: Mesh, target: TrafficTarget, port: int, protocol: Protocol
) -> tuple[RequestMatch, ...] | None:
    """The requests that a target grants on a port; none of them where bytes are granted, and None
    for no grant at all.

    An HTTPRouteGroup opens no port where requests cannot be seen, so that beside one only a port
    that a TCPRoute names is open to bytes; and a TCPRoute alone opens none where they can.
    """
    groups = [rule for rule in target.rules if rule.kind is Kind.HTTP_ROUTE_GROUP]
    routes = [rule for rule in target.rules if rule.kind is Kind.TCP_ROUTE]
    ports = _ports(mesh, target, routes)
    named = any(port in some for some in ports if some is not None)
    if protocol is not Protocol.HTTP:
        return () if named or (None in ports and not groups) else None
    if routes and not named and None not in ports:
        return None
    matches = {
        match
        for rule in groups
        if (group := mesh.get(Kind.HTTP_ROUTE_GROUP, target.namespace, rule.name)) is not None
        for match in cast("HTTPRouteGroup", group).named(rule.matches)
    }
    return tuple(sorted(matches)) or None


def callers(mesh: Mesh, target: TrafficTarget) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """By which addresses, and by which names in certificates, the sources of a target are told.

    An address counts if every pod that has it is of one of the sources, and none of them is in the
    network of its node, which is the address of many.
    """
    accounts = {one for one in target.sources if mesh.monitored(one.namespace)}
    addresses = {address for one in accounts for address in mesh.query(addresses_of, one)}
    usable = (
        address
        for address in addresses
        if all(pod.account in accounts and not pod.host_network for pod in mesh.pods_at(address))
    )
    roots = mesh.roots()
    names = (roots.name(account) for account in accounts) if roots else ()
    return tuple(sorted(usable)), tuple(sorted(names))


def addresses_of(mesh: Mesh, account: Account) -> tuple[str, ...]:
    """The addresses of an account's pods."""
    pods = mesh.pods_of(account)
    return tuple(sorted({address for pod in pods for address in pod.addresses}))


def callable_accounts(mesh: Mesh, account: Account) -> frozenset[Account]:
    """The accounts whose pods some target lets the account call."""
    if not by_policies(mesh):
        return frozenset()
    members = mesh.group(Kind.TRAFFIC_TARGET, ("source", account.namespace, account.name))
    targets = cast("tuple[TrafficTarget, ...]", members)
    return frozenset(
        target.destination
        for target in targets
        if target.destination is not None and not target.closed and mesh.monitored(target.namespace)
    )


def _ports(
    mesh: Mesh, target: TrafficTarget, rules: Iterable[RouteReference]
) -> list[tuple[int, ...] | None]:
    """The ports of each TCPRoute that there is; None for all."""
    routes = (mesh.get(Kind.TCP_ROUTE, target.namespace, rule.name) for rule in rules)
    return [cast("TCPRoute", route).ports for route in routes if route is not None]
