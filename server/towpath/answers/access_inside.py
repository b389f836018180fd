"""Access inside the mesh: which services an account may call, and with which requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.answers.access import ANYTHING, Access
from towpath.answers.answering import all_behind, all_places, let_in_beside, means, pods_behind
from towpath.answers.encryption import refused_among
from towpath.model.egress import RequestMatch
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, Destinations, destination_name
from towpath.planning import outbound
from towpath.planning.destinations import directory
from towpath.planning.inbound import lets_in


@dataclass(frozen=True, slots=True)
class CallablePort:
    """One port of a Service (`<namespace>/<name>`), and what an account may ask of it.

    Of pods behind it that let in different requests it is what any of them does.
    """

    service: str
    port: int
    protocol: Protocol
    access: Access


def inside(mesh: Mesh, account: Account) -> tuple[CallablePort, ...]:
    """Everything in the mesh that the account may call, sorted by service and port."""
    reachable = mesh.query(outbound, account).destinations
    if lets_in(mesh):
        ports = mesh.query(_open, reachable)
    else:
        ports = tuple(_callable(mesh, account, one) for one in _dialled(reachable))
    refused = refused_among(mesh, account, reachable)
    return tuple(one for one in ports if one.access.requests and _name(one) not in refused)


def _open(mesh: Mesh, reachable: Destinations) -> tuple[CallablePort, ...]:
    """The same for all accounts that may reach the same, where everybody is let in."""
    anything, closed = Access(((ANYTHING, ()),)), mesh.query(_closed)
    open_ = (one for one in _dialled(reachable) if one.name not in closed)
    return tuple(_of(one, anything) for one in open_ if all_places(one))


def _closed(mesh: Mesh) -> frozenset[str]:
    """The destinations behind which a port is closed to everybody."""
    return frozenset(
        one.name
        for one in mesh.query(directory).reachable
        if any(at.shut for at in all_behind(mesh, one))
    )


def _name(port: CallablePort) -> str:
    namespace, _, service = port.service.partition("/")
    return destination_name(namespace, service, port.port)


def _dialled(reachable: Destinations) -> Iterator[Destination]:
    return (one for one in reachable if one.addresses)


def _of(destination: Destination, access: Access) -> CallablePort:
    service = f"{destination.namespace}/{destination.service}"
    return CallablePort(service, destination.port, destination.protocol, access)


def _callable(mesh: Mesh, account: Account, destination: Destination) -> CallablePort:
    policies: dict[RequestMatch, set[str]] = defaultdict(set)
    for one in pods_behind(mesh, account, all_places(destination)):
        if one.port is not None and not one.guarded:
            policies[ANYTHING].update(())
            continue
        for permit in (one.port.permits or ()) if one.port else ():
            if means(mesh, permit, account, one):
                http = one.port is not None and one.port.protocol is Protocol.HTTP
                for match in permit.requests if http else (ANYTHING,):
                    policies[match].add(permit.policy)
        if backends := let_in_beside(mesh, account, one):
            policies[ANYTHING].update(backends)
    requests = tuple((match, tuple(sorted(policies[match]))) for match in sorted(policies))
    names = tuple(sorted({name for one in policies.values() for name in one}))
    return _of(destination, Access(requests, policies=names))
