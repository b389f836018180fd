"""In-mesh destinations: every port of every service of every monitored namespace."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from towpath.model.codes import Code
from towpath.model.egress import ConnectionSettings
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import Branch, Destination, Destinations, Endpoint
from towpath.model.ports import SIDECAR_PORTS
from towpath.model.problem import Problem
from towpath.model.workloads import Service
from towpath.planning.addresses import Claims, present
from towpath.planning.identity import MARK, marked
from towpath.planning.inmesh.settings import connection_settings
from towpath.planning.inmesh.splits import branches


@dataclass(frozen=True, slots=True)
class Directory:
    """What is reachable inside the mesh, at which ports and addresses it is dialled, and what had
    to be left out.
    """

    reachable: Destinations
    dialled: frozenset[tuple[int, str]]
    problems: tuple[Problem, ...]


def directory(mesh: Mesh) -> Directory:
    """All destinations; no two share an address and port (a sidecar could not tell them apart)."""
    destinations = [
        destination
        for namespace in mesh.monitored_namespaces()
        for destination in mesh.query(destinations_in, namespace)
    ]
    claims = Claims(destinations)
    own = tuple(map(claims.without_lost, destinations))
    shared = {name for one in own for branch in one.branches for name, _ in branch.shares}
    reachable = Destinations(one for one in own if one.addresses or one.name in shared)
    dialled = frozenset((one.port, address) for one in reachable for address in one.addresses)
    return Directory(reachable, dialled, claims.problems)


def destinations_in(mesh: Mesh, namespace: str) -> tuple[Destination, ...]:
    """The destinations of one namespace, by service name and port."""
    return tuple(
        destination
        for service in mesh.services(namespace)
        for destination in mesh.query(destinations_of, service)
    )


def destinations_of(mesh: Mesh, service: Service) -> tuple[Destination, ...]:
    """The destinations of one service; a port without any address is none."""
    if service.headless:
        return _direct(mesh, service)
    if not service.cluster_ips:
        return ()
    settings = mesh.query(connection_settings, service.namespace, service.name)
    return tuple(
        sorted(
            _destination(
                service,
                port.port,
                port.protocol,
                service.cluster_ips,
                settings=settings,
                branches=branches(mesh, service, port),
            )
            for port in service.ports
        )
    )


def endpoints(
    mesh: Mesh, namespace: str, service: str, port: int, accounts: tuple[Account, ...] = ()
) -> tuple[Endpoint, ...]:
    """Where the port of a service with an address of its own leads: sorted, each address once; with
    *accounts*, to their pods alone.

    Without a ready endpoint it leads to those that end but still serve, as kube-proxy does.
    """
    record = mesh.service(namespace, service)
    names = {p.name for p in record.ports if p.port == port} if record else set()
    ready: set[Endpoint] = set()
    ending: set[Endpoint] = set()
    for slice_ in mesh.slices(namespace, service) if names else ():
        for name, number in slice_.ports:
            if name in names:
                there, marks = mesh.query(present, slice_), dict(mesh.query(marked, slice_))
                for addresses, into in ((there.ready, ready), (there.ending, ending)):
                    into.update(
                        Endpoint(address, number, address in marks)
                        for address in addresses
                        if not accounts or is_of(mesh, address, accounts)
                    )
    return tuple(sorted(ready or ending))


def direct_endpoints(mesh: Mesh, namespace: str, service: str, number: int) -> tuple[Endpoint, ...]:
    """Where a headless service is dialled on that number, which is one of its endpoints' ports and
    not of its own; once for each of its ports that leads there.
    """
    record = mesh.service(namespace, service)
    return tuple(
        endpoint
        for port in (record.ports if record else ())
        for endpoint in mesh.query(endpoints, namespace, service, port.port)
        if endpoint.port == number
    )


def is_of(mesh: Mesh, address: str, accounts: Collection[Account]) -> bool:
    """True if a pod of one of these accounts has the address."""
    return any(pod.account in accounts for pod in mesh.pods_at(address))


def serving(mesh: Mesh, namespace: str, service: str) -> frozenset[Account]:
    """The accounts of the pods that are endpoints of a service, on any of its ports."""
    addresses = {
        address
        for slice_ in mesh.slices(namespace, service)
        for there in (mesh.query(present, slice_),)
        for address in (*there.ready, *there.ending)
    }
    return frozenset(pod.account for address in addresses for pod in mesh.pods_at(address))


def encrypted(mesh: Mesh) -> Destinations:
    """Those of all destinations that are called by mutual TLS, where their endpoints take it.

    What is dialled at its endpoints' addresses is one only if all of them do: such a connection
    goes to the address that was dialled, of which nobody says whether it is marked.
    """
    return Destinations(
        one
        for one in mesh.query(directory).reachable
        if mesh.query(_takes_mtls, one.namespace, one.service, one.port, one.direct)
    )


def _takes_mtls(mesh: Mesh, namespace: str, service: str, port: int, direct: bool) -> bool:  # noqa: FBT001 (a question's argument)
    if not direct:
        return any(one.mtls for one in mesh.query(endpoints, namespace, service, port))
    marks = [one.mtls for one in mesh.query(direct_endpoints, namespace, service, port)]
    return all(marks) and bool(marks)


def mixed(mesh: Mesh, service: Service) -> tuple[Problem, ...]:
    """A headless service that is called in plaintext although some of its pods are marked."""
    if not service.headless or not mesh.monitored(service.namespace):
        return ()
    numbers = {one.port for one in mesh.query(destinations_of, service)}
    marks = [
        one.mtls
        for number in sorted(numbers)
        for one in mesh.query(direct_endpoints, service.namespace, service.name, number)
    ]
    if all(marks) or not any(marks):
        return ()
    text = (
        f"{marks.count(False)} of its {len(marks)} endpoints are not marked {MARK[0]}: as clients "
        "dial the endpoints themselves, all of them are called in plaintext; mark all of them"
    )
    return (Problem(service.ref, "spec.clusterIP", Code.PARTLY_MARKED, text),)


def _direct(mesh: Mesh, service: Service) -> tuple[Destination, ...]:
    """A headless service is dialled at its endpoints' addresses, on the target port.

    Ports that lead to one number are one destination; the first of them says what it speaks.
    """
    by_number: dict[int, tuple[Protocol, set[str]]] = {}
    for port in service.ports:
        for endpoint in mesh.query(endpoints, service.namespace, service.name, port.port):
            if endpoint.port not in SIDECAR_PORTS:
                _, addresses = by_number.setdefault(endpoint.port, (port.protocol, set()))
                addresses.add(endpoint.address)
    settings = mesh.query(connection_settings, service.namespace, service.name)
    return tuple(
        _destination(service, number, protocol, tuple(sorted(addresses)), settings=settings)
        for number, (protocol, addresses) in sorted(by_number.items())
    )


def _destination(
    service: Service,
    number: int,
    protocol: Protocol,
    addresses: tuple[str, ...],
    *,
    settings: ConnectionSettings,
    branches: tuple[Branch, ...] = (),
) -> Destination:
    return Destination(
        namespace=service.namespace,
        service=service.name,
        port=number,
        protocol=protocol,
        addresses=addresses,
        direct=service.headless,
        branches=branches,
        settings=settings,
    )
