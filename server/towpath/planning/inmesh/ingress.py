"""IngressBackends: who may call a port of pods from outside the mesh, whatever else holds.

What several of them let in adds up, and is let in beside what TrafficTargets grant; it is a port of
pods that is meant, and never another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses
from typing import cast

from towpath.model.codes import Code
from towpath.model.ingress import Backend, IngressBackend
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Ingress
from towpath.model.problem import Problem
from towpath.planning.config import config


def ingress(
    mesh: Mesh, namespace: str, services: Iterable[str], port: int, protocol: Protocol
) -> tuple[Ingress, ...]:
    """What is let in on one port of the pods that these services select; requests alone."""
    if not config(mesh).enable_ingress_backend_policy or protocol is not Protocol.HTTP:
        return ()
    names = set(services)
    policies = {policy for name in names for policy in mesh.query(backing, namespace, name)}
    entries = {
        entry
        for policy in policies
        for backend in policy.backends
        if backend.service in names and backend.port == port
        for entry in _entries(mesh, policy, backend)
    }
    return tuple(sorted(entries))


def backing(mesh: Mesh, namespace: str, service: str) -> tuple[IngressBackend, ...]:
    """The IngressBackends that let something in at a service."""
    members = mesh.group(Kind.INGRESS_BACKEND, ("backend", namespace, service))
    policies = cast("tuple[IngressBackend, ...]", members)
    return tuple(policy for policy in policies if not policy.closed)


def principals_of(mesh: Mesh, account: Account) -> tuple[str, ...]:
    """The ways in which an IngressBackend may name the account."""
    roots = mesh.roots()
    if roots is None:
        return ()
    short = f"{account.name}.{account.namespace}"
    return short, f"{short}.{roots.trust_domain}", roots.name(account)


def calling(mesh: Mesh, policy: IngressBackend) -> tuple[str, ...]:
    """The ranges from which an IngressBackend lets in: its own, and its Services' endpoints.

    Such an address counts if all that have it are pods of the Service's namespace, and none is in
    the network of its node, which is the address of many.
    """
    blocks = [IPv4Network(one) for one in policy.ranges]
    for namespace, name in policy.services:
        blocks += map(IPv4Network, mesh.query(_endpoints_of, namespace, name))
    return tuple(map(str, collapse_addresses(blocks)))


def entries_of(mesh: Mesh, policy: IngressBackend) -> tuple[tuple[Backend, Ingress], ...]:
    """What one IngressBackend lets in, and where: at backends that are there."""
    in_force = config(mesh).enable_ingress_backend_policy and mesh.monitored(policy.namespace)
    if policy.closed or not in_force:
        return ()
    return tuple(
        (backend, entry)
        for backend in policy.backends
        if not tuple(_of_backend(mesh, policy, backend))
        for entry in _entries(mesh, policy, backend)
    )


def ingress_problems(mesh: Mesh) -> Iterator[Problem]:
    """What keeps IngressBackends from having effect."""
    for policy in cast("tuple[IngressBackend, ...]", mesh.group(Kind.INGRESS_BACKEND, "all")):
        yield from mesh.query(_of_policy, policy)


def certificate_name(mesh: Mesh, principal: str) -> str | None:
    """The name in the certificate of the service account that an author means; None for nobody who
    has a certificate of the mesh.
    """
    roots = mesh.roots()
    if roots is None:
        return None
    if principal.startswith("spiffe://"):
        namespace, _, name = principal.removeprefix(roots.prefix).partition("/sa/")
    else:
        name, _, namespace = principal.removesuffix(f".{roots.trust_domain}").rpartition(".")
    account = Account(namespace, name)
    shown = (roots.name(account), f"{name}.{namespace}", f"{name}.{namespace}.{roots.trust_domain}")
    return roots.name(account) if mesh.monitored(namespace) and principal in shown else None


def _entries(mesh: Mesh, policy: IngressBackend, backend: Backend) -> Iterator[Ingress]:
    """Plaintext shows no certificate, so that a principal closes it; by mutual TLS all that is said
    of who calls has to hold.
    """
    ranges = mesh.query(calling, policy)
    if not backend.tls:
        if ranges and not policy.certified:
            yield Ingress(policy.label, ranges)
        return
    names = {name for one in policy.principals if (name := certificate_name(mesh, one))}
    if names and (ranges or not policy.addressed):
        yield Ingress(policy.label, ranges, tuple(sorted(names)), backend.hosts)


def _endpoints_of(mesh: Mesh, namespace: str, name: str) -> tuple[str, ...]:
    """The addresses of a Service's endpoints that nobody else has; it may be outside the mesh."""
    written = {
        address for one in mesh.slices(namespace, name) for address in (*one.addresses, *one.ending)
    }
    return tuple(
        sorted(
            address
            for address in written
            if (pods := mesh.pods_at(address))
            and all(pod.namespace == namespace and not pod.host_network for pod in pods)
        )
    )


def _of_policy(mesh: Mesh, policy: IngressBackend) -> tuple[Problem, ...]:
    label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
    if not mesh.monitored(policy.namespace):
        text = f"its namespace lacks the label {label}: the IngressBackend has no effect"
        return (Problem(policy.ref, "metadata.namespace", Code.POLICY_OUTSIDE_MESH, text),)
    if not config(mesh).enable_ingress_backend_policy:
        text = (
            "spec.featureFlags.enableIngressBackendPolicy of the MeshConfig is off: nothing is let "
            "in by it"
        )
        return (Problem(policy.ref, "", Code.INGRESS_OFF, text),)
    if policy.closed:
        return ()
    return (
        *(problem for one in policy.backends for problem in _of_backend(mesh, policy, one)),
        *_of_sources(mesh, policy),
    )


def _of_backend(mesh: Mesh, policy: IngressBackend, backend: Backend) -> Iterator[Problem]:
    where, service = "spec.backends", mesh.service(policy.namespace, backend.service)
    what = f"Service {policy.namespace}/{backend.service}"
    if service is None:
        text = f"{what} does not exist: the backend is left out"
        yield Problem(policy.ref, where, Code.MISSING_BACKEND, text)
        return
    named = any(isinstance(port.target_port, str) for port in service.ports)
    numbers = [port for port in service.ports if port.target_port == backend.port]
    if not numbers and not named:
        text = (
            f"no port of {what} leads to port {backend.port} of its pods, which is what is meant: "
            "the backend is left out"
        )
        yield Problem(policy.ref, where, Code.MISSING_BACKEND, text)
    elif numbers and all(port.protocol is not Protocol.HTTP for port in numbers):
        text = f"port {backend.port} of {what} is {numbers[0].protocol}: requests alone are let in"
        yield Problem(policy.ref, where, Code.INGRESS_WITHOUT_REQUESTS, text)
    if backend.tls and not policy.principals:
        text = (
            f"{what} is called by https, and no source is an AuthenticatedPrincipal: nobody is let "
            "in without one"
        )
        yield Problem(policy.ref, "spec.sources", Code.INGRESS_WITHOUT_PRINCIPAL, text)
    if not backend.tls and policy.certified:
        text = (
            f"{what} is called by http, where no certificate is shown: nobody is let in where an "
            "AuthenticatedPrincipal is asked for"
        )
        yield Problem(policy.ref, "spec.sources", Code.INGRESS_WITHOUT_PRINCIPAL, text)


def _has_certificate(mesh: Mesh, principal: str) -> bool:
    """True also where nobody can say in which trust domain, as in a folder without an authority."""
    if mesh.roots() is not None:
        return certificate_name(mesh, principal) is not None
    if principal.startswith("spiffe://"):
        _, _, path = principal.partition("/ns/")
        return mesh.monitored(path.partition("/sa/")[0])
    return mesh.monitored(principal.split(".")[1])


def _of_sources(mesh: Mesh, policy: IngressBackend) -> Iterator[Problem]:
    for namespace, name in policy.services:
        if not mesh.query(_endpoints_of, namespace, name):
            text = (
                f"Service {namespace}/{name} has no endpoint whose address is that of its pods "
                "alone: nobody is let in by it"
            )
            yield Problem(policy.ref, "spec.sources", Code.MISSING_SOURCE, text)
    for principal in policy.principals:
        if not _has_certificate(mesh, principal):
            text = f"{principal} is not a service account of the mesh with a certificate"
            yield Problem(policy.ref, "spec.sources", Code.MISSING_SOURCE, text)
