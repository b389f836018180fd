"""TrafficTargets: who may call the pods of a service account, on which ports, with which requests.

A target grants its sources, its ports and its requests together, and nothing mixed of two targets.
All grants add up, in any order; what cannot be read, or is missing, grants nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from towpath.model.egress import HTTPRouteGroup, RequestMatch
from towpath.model.inmesh import RouteReference, TCPRoute, TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Permit


@dataclass(frozen=True, slots=True)
class Grant:
    """What a target grants: *requests* on its *ports*, where these are HTTP, and bytes elsewhere.

    `all_requests` and `all_bytes`: the same on all other ports.
    """

    requests: tuple[RequestMatch, ...]
    ports: frozenset[int]
    all_requests: bool
    all_bytes: bool

    @property
    def empty(self) -> bool:
        """True if nothing is granted on any port, whatever it speaks."""
        return not (self.ports or self.all_bytes or (self.requests and self.all_requests))


def by_policies(mesh: Mesh) -> bool:
    """True if policies alone let anyone in: permissive mode is off, and nobody else is asked."""
    switches = mesh.config()
    return switches is not None and not switches.permissive and not switches.external_authorization


def counts_refusals(mesh: Mesh) -> bool:
    """True if sidecars let everything in, and count what targets would refuse: there are some."""
    switches = mesh.config()
    if switches is None or not switches.permissive or not mesh.shadow_targets:
        return False
    targets = cast("tuple[TrafficTarget, ...]", mesh.group(Kind.TRAFFIC_TARGET, "all"))
    return any(mesh.monitored(target.namespace) for target in targets)


def permits(
    mesh: Mesh, account: Account, port: int, protocol: Protocol, closed: frozenset[str]
) -> tuple[Permit, ...]:
    """What all targets but the *closed* ones let in on one port of the account's pods."""
    result = []
    for target in targets_of(mesh, account):
        if target.label in closed:
            continue
        requests = mesh.query(granted_requests, target, port, protocol)
        addresses, names = mesh.query(callers, target)
        if requests is not None and (addresses or names):
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
    """
    grant = mesh.query(grant_of, target)
    named = port in grant.ports
    if protocol is not Protocol.HTTP:
        return () if named or grant.all_bytes else None
    return (grant.requests or None) if named or grant.all_requests else None


def grant_of(mesh: Mesh, target: TrafficTarget) -> Grant:
    """What the rules of a target come to, all together; of what is missing, nothing.

    An HTTPRouteGroup opens no port where requests cannot be seen, so that beside one only a port
    that a TCPRoute names is open to bytes; and a TCPRoute alone opens none where they can.
    """
    groups = [rule for rule in target.rules if rule.kind is Kind.HTTP_ROUTE_GROUP]
    routes = [rule for rule in target.rules if rule.kind is Kind.TCP_ROUTE]
    ports = _ports(mesh, target, routes)
    matches = {
        match
        for rule in groups
        if (group := mesh.get(Kind.HTTP_ROUTE_GROUP, target.namespace, rule.name)) is not None
        for match in cast("HTTPRouteGroup", group).named(rule.matches)
    }
    return Grant(
        requests=tuple(sorted(matches)),
        ports=frozenset(port for some in ports for port in some or ()),
        all_requests=not routes or None in ports,
        all_bytes=None in ports and not groups,
    )


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


def grants_something(
    mesh: Mesh, source: Account, destination: Account, port: int, protocol: Protocol
) -> bool:
    """True if some target lets the one account call the other's pods on that port."""
    return any(
        mesh.query(granted_requests, target, port, protocol) is not None
        for target in mesh.query(_targets_between, source, destination)
    )


def _targets_between(
    mesh: Mesh, source: Account, destination: Account
) -> tuple[TrafficTarget, ...]:
    """Looked for once, and not for each port: both may be many, and sources too."""
    targets = mesh.query(targets_of, destination)
    return tuple(target for target in targets if source in target.sources)


def _ports(
    mesh: Mesh, target: TrafficTarget, rules: Iterable[RouteReference]
) -> list[tuple[int, ...] | None]:
    """The ports of each TCPRoute that there is; None for all."""
    routes = (mesh.get(Kind.TCP_ROUTE, target.namespace, rule.name) for rule in rules)
    return [cast("TCPRoute", route).ports for route in routes if route is not None]
