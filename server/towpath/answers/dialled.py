"""Which address a client dials for a name of the cluster: what its name server would answer."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account, SidecarId
from towpath.model.plan import Destinations
from towpath.model.workloads import Service
from towpath.planning import outbound
from towpath.planning.destinations import directory
from towpath.planning.egress.decide import Attempt, bare

_DOMAIN = "cluster.local"
_MOST_ALIASES = 8
"""How many ExternalName Services may lead to each other."""


def address_of(mesh: Mesh, account: Account, attempt: Attempt) -> str | None:
    """An address behind the attempt's host, if it is a name of a Service or of a pod behind one."""
    return _address(mesh, account, bare(attempt.host, attempt.port), attempt.port, _MOST_ALIASES)


def _address(mesh: Mesh, account: Account, host: str, port: int, aliases: int) -> str | None:
    name = host.removesuffix(".").removesuffix(f".{_DOMAIN}")
    labels = name.removesuffix(".svc").split(".")
    if len(labels) == 3:
        return _pod(mesh, *labels)
    if len(labels) > 2:
        return None
    namespace = labels[1] if len(labels) == 2 else account.namespace
    service = mesh.service(namespace, labels[0])
    if service is None:
        return None
    if service.external_name and aliases:
        alias = service.external_name.lower()
        return _address(mesh, account, alias, port, aliases - 1)
    if service.cluster_ips:
        return service.cluster_ips[0]
    return _endpoint(mesh, account, service, port)


def _endpoint(mesh: Mesh, account: Account, service: Service, port: int) -> str | None:
    """Of a headless Service: any of its addresses, if there is one where the account may call."""
    wanted = (service.namespace, service.name, port)
    addresses = (
        address
        for destinations in (mesh.query(outbound, account).destinations, _everybodys(mesh))
        for one in destinations
        if (one.namespace, one.service, one.port) == wanted
        for address in one.addresses
    )
    return next(addresses, None)


def _everybodys(mesh: Mesh) -> Destinations:
    return mesh.query(directory).reachable


def _pod(mesh: Mesh, pod: str, service: str, namespace: str) -> str | None:
    """Of a StatefulSet: each pod has a name below its headless Service."""
    parent = mesh.service(namespace, service)
    record = mesh.pod(SidecarId(pod=pod, namespace=namespace))
    if parent is None or not parent.headless or record is None:
        return None
    if not set(parent.selector) <= set(record.labels):
        return None
    return next(iter(record.addresses), None)
