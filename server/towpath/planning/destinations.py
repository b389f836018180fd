"""In-mesh destinations: every port of every service of every monitored namespace."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.model.mesh import Mesh
from towpath.model.names import ObjectRef
from towpath.model.plan import Destination, Destinations, Endpoint
from towpath.model.problem import Problem, Reason
from towpath.model.workloads import Service, ServicePort


@dataclass(frozen=True, slots=True)
class Directory:
    """What is reachable inside the mesh, and what had to be left out."""

    reachable: Destinations
    problems: tuple[Problem, ...]


def directory(mesh: Mesh) -> Directory:
    """All destinations; no two share an address and port (a sidecar could not tell them apart).

    The first by namespace and service name keeps a contested address.
    """
    owner: dict[tuple[str, int], Destination] = {}
    reachable: list[Destination] = []
    problems: list[Problem] = []
    for namespace in mesh.monitored_namespaces():
        for found in mesh.ask(destinations_in, namespace):
            free = tuple(a for a in found.addresses if (a, found.port) not in owner)
            for address in found.addresses:
                holder = owner.setdefault((address, found.port), found)
                # Two headless services over the same pods are common, and either way the
                # connection goes to the address that was dialled: nothing is lost.
                if holder is not found and not (holder.direct and found.direct):
                    problems.append(_contested(found, holder, address))
            if free:
                reachable.append(_with_addresses(found, free))
    return Directory(Destinations(reachable), tuple(problems))


def destinations_in(mesh: Mesh, namespace: str) -> tuple[Destination, ...]:
    """The destinations of one namespace, by service name and port."""
    return tuple(
        destination
        for service in mesh.services(namespace)
        for destination in mesh.ask(destinations_of, service)
    )


def destinations_of(mesh: Mesh, service: Service) -> tuple[Destination, ...]:
    """The destinations of one service; a port without any address is none."""
    found = []
    for port in service.ports:
        if service.headless:
            for number, addresses in _addresses_by_port(mesh, service, port).items():
                found.append(_destination(service, port, number, addresses))
        elif service.cluster_ips:
            found.append(_destination(service, port, port.port, service.cluster_ips))
    return tuple(sorted(found))


def endpoints(mesh: Mesh, namespace: str, service: str, port: int) -> tuple[Endpoint, ...]:
    """Where the port of a service with an address of its own leads: sorted, each address once."""
    held = mesh.service(namespace, service)
    ports = [p for p in held.ports if p.port == port] if held else []
    return tuple(
        sorted(
            {
                Endpoint(address, number)
                for p in ports
                for slice_ in mesh.slices(namespace, service)
                for name, number in slice_.ports
                if name == p.name
                for address in slice_.addresses
            }
        )
    )


def _addresses_by_port(mesh: Mesh, service: Service, port: ServicePort) -> dict[int, list[str]]:
    """A headless service is dialled at its endpoints' addresses, on the target port."""
    found: dict[int, list[str]] = {}
    for endpoint in mesh.ask(endpoints, service.namespace, service.name, port.port):
        found.setdefault(endpoint.port, []).append(endpoint.address)
    return found


def _destination(
    service: Service, port: ServicePort, number: int, addresses: tuple[str, ...] | list[str]
) -> Destination:
    return Destination(
        namespace=service.namespace,
        service=service.name,
        port=number,
        protocol=port.protocol,
        addresses=tuple(addresses),
        direct=service.headless,
    )


def _with_addresses(found: Destination, addresses: tuple[str, ...]) -> Destination:
    if addresses == found.addresses:
        return found
    return Destination(
        found.namespace, found.service, found.port, found.protocol, addresses, found.direct
    )


def _contested(found: Destination, holder: Destination, address: str) -> Problem:
    return Problem(
        object=ObjectRef("Service", found.namespace, found.service),
        field="spec.ports",
        reason=Reason.CONFLICT,
        message=f"{address}:{found.port} already belongs to Service {holder.namespace}/"
        f"{holder.service}; connections to it are that service's",
    )
