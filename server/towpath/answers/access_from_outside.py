"""Access from outside the mesh: whom pods of services that IngressBackends name let in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network
from typing import cast

from towpath.answers.answering import has_sidecar
from towpath.model.ingress import IngressBackend
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, Protocol
from towpath.model.plan import Inbound, InboundPort
from towpath.model.workloads import Pod
from towpath.planning import inbound
from towpath.planning.inbound import selecting

ANYWHERE = "0.0.0.0/0"
ANY_NAME = "*"


@dataclass(frozen=True, slots=True, order=True)
class Outsider:
    """Callers without a sidecar of the mesh: from a CIDR block, in plaintext, or with *name* in
    their certificate (`*`: any of the mesh), asking TLS for *host* ("": any).
    """

    block: str
    name: str = ""
    host: str = ""

    def covers(self, other: Outsider) -> bool:
        """True if whoever is of the other is of this one too."""
        return (
            self.name in (other.name, ANY_NAME if other.name else "")
            and self.host in (other.host, "")
            and _block(other.block).subnet_of(_block(self.block))
        )

    def __str__(self) -> str:
        where = "" if self.block == ANYWHERE else f" at {self.block}"
        if not self.name:
            return f"callers in plaintext{where}"
        whose = "a certificate" if self.name == ANY_NAME else f"the certificate of {self.name}"
        host = f", who ask for {self.host}" if self.host else ""
        return f"callers with {whose}{where}{host}"


_block = lru_cache(maxsize=4096)(IPv4Network)

Entrance = tuple[str, str, int]
"""Namespace and name of a Service, and a port of its pods."""

Entrances = dict[Entrance, dict[Outsider, frozenset[str]]]
"""Who comes in where, with any request; each with the policies that say so."""


def entrances(mesh: Mesh) -> frozenset[Entrance]:
    """Where IngressBackends of the mesh would let somebody in, in force or not."""
    policies = cast("tuple[IngressBackend, ...]", mesh.group(Kind.INGRESS_BACKEND, "all"))
    return frozenset(
        (policy.namespace, backend.service, backend.port)
        for policy in policies
        for backend in policy.backends
    )


def let_in(mesh: Mesh, places: tuple[Entrance, ...]) -> Entrances:
    """Who comes in at these places; where pods differ, whom any of them lets in."""
    return {place: mesh.query(_at, *place) for place in places}


def _at(mesh: Mesh, namespace: str, service: str, number: int) -> dict[Outsider, frozenset[str]]:
    by_outsider: dict[Outsider, set[str]] = defaultdict(set)
    for pod in mesh.query(_by_service).get((namespace, service), ()):
        if not has_sidecar(pod):
            by_outsider[Outsider(ANYWHERE)].update(())
            continue
        plan = mesh.query(inbound, pod)
        for port in plan.ports:
            if port.port == number and port.probes is None and port.protocol is Protocol.HTTP:
                for outsider, policy in _of_port(plan, port):
                    by_outsider[outsider].update({policy} - {""})
    return {one: frozenset(by_outsider[one]) for one in sorted(by_outsider)}


def _by_service(mesh: Mesh) -> dict[tuple[str, str], list[Pod]]:
    """The pods that each service selects."""
    pods = defaultdict[tuple[str, str], list[Pod]](list)
    for pod in cast("tuple[Pod, ...]", mesh.group(Kind.POD, "all")):
        for service in mesh.query(selecting, pod):
            pods[service.namespace, service.name].append(pod)
    return dict(pods)


def _of_port(plan: Inbound, port: InboundPort) -> Iterator[tuple[Outsider, str]]:
    strict = plan.mtls is not None and plan.mtls.strict
    if port.permits is None and not strict:
        yield Outsider(ANYWHERE), ""
    if port.permits is None and plan.mtls is not None:
        yield Outsider(ANYWHERE, ANY_NAME), ""
    for entry in port.ingress:
        if entry.names and plan.mtls is None:
            continue
        for block in entry.ranges or (ANYWHERE,):
            for name in entry.names or ("",):
                for host in entry.hosts or ("",):
                    yield Outsider(block, name, host), entry.policy
