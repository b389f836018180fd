"""Plans and encoders put together: the snapshot of one sidecar, as questions about the mesh.

Each question below is remembered on its own, so that a change is encoded once for everybody and
only where it matters: in-mesh clusters and routes are the whole mesh's, endpoints a service
port's, the outbound listener a service account's, the inbound parts a set of services'.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVarTuple, cast

from towpath.encode import envoy, grpc, pipy
from towpath.encode.endpoints import load_assignment
from towpath.hub.work_size import size
from towpath.model.egress_plan import EgressPlan
from towpath.model.identity import TlsParameters
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.plan import (
    ClientMtls,
    Destination,
    Destinations,
    Endpoint,
    Inbound,
    Outbound,
    Plan,
    PlanBasis,
    ProxylessPlan,
    ProxylessTarget,
    ProxylessTargets,
    Retries,
    ServerMtls,
    destination_name,
)
from towpath.model.problem import Problem
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, SIDECAR
from towpath.planning import endpoints, inbound, outbound, plan, plan_basis, proxyless
from towpath.planning.config import config
from towpath.planning.identity import accounts_behind

Ts = TypeVarTuple("Ts")

Layers = Mapping[str, tuple[Layer, ...]]
"""Those of a snapshot, or of a part of one, by type URL."""


@dataclass(frozen=True)
class Group:
    """Clients that are to hold the same: of one kind, and one account or basis of plans; a Pipy
    *sidecar* is alone in its own.
    """

    kind: ClientKind
    basis: PlanBasis | Account
    sidecar: SidecarId | None = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.basis, self.sidecar))


def snapshot(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
    """What the sidecar is to hold; None for a pod that does not exist."""
    its_group = group(mesh, kind, sidecar)
    if its_group is None:
        return None
    without = without_endpoints(mesh, its_group)
    if without.destinations is None:
        return without
    return without.with_endpoints(mesh.query(assignments, without.destinations))


def group(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Group | None:
    """With whom a client shares what it is to hold; None for a pod that does not exist."""
    if kind is ClientKind.GRPC:
        pod = mesh.pod(sidecar)
        return Group(kind, pod.account) if pod else None
    basis = plan_basis(mesh, sidecar)
    if basis is None:
        return None
    return Group(kind, basis, sidecar if kind is ClientKind.PIPY else None)


def without_endpoints(mesh: Mesh, clients: Group) -> Snapshot:
    """What these clients are to hold, but endpoints, which are apart: those of its destinations."""
    basis = clients.basis
    if isinstance(basis, Account):
        return mesh.query(_grpc, mesh.query(proxyless, basis))
    their_plan = plan(mesh, basis)
    if clients.sidecar is not None:
        return mesh.query(_pipy, clients.sidecar, their_plan)
    let_in = mesh.query(_unnamed, their_plan.inbound)
    return mesh.query(_envoy, Plan(their_plan.outbound, let_in))


def assignments(mesh: Mesh, destinations: Hashable) -> ResourceSet:
    """The endpoints of a snapshot's destinations, one set for all sidecars that may reach these."""
    reachable = cast("Destinations | ProxylessTargets", destinations)
    # Not of what is dialled at the very address that the application chose.
    behind = (one for one in reachable if not (isinstance(one, Destination) and one.direct))
    return ResourceSet(ENDPOINTS, (Layer(tuple(_assignment_for(mesh, one) for one in behind)),))


def withheld(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> tuple[Problem, ...]:
    """Where a sidecar of that kind cannot do what policies say."""
    pod = mesh.pod(sidecar)
    if pod is None or kind is not ClientKind.PIPY:
        return ()
    return (
        *mesh.query(_withheld_from_pipy, mesh.query(outbound, pod.account)),
        *mesh.query(_closed_in_pipy, mesh.query(inbound, pod)),
    )


def _envoy(mesh: Mesh, sidecar_plan: Plan) -> Snapshot:
    """What an Envoy is sent; one snapshot for all that have the same plan."""
    let_out, let_in = sidecar_plan.outbound, sidecar_plan.inbound
    outward, inward = mesh.query(_outward, let_out), mesh.query(_inward, let_in)
    layers = {type_url: (*outward[type_url], *inward[type_url]) for type_url in outward}
    if let_out.mtls or let_in.mtls:
        layers[SECRET] = _secrets(mesh, let_out.mtls, let_in.mtls)
    vocabulary = envoy.EnvoyVocabulary(open=let_in.open)
    return Snapshot(_sets(mesh, layers), vocabulary, let_out.destinations)


def _unnamed(_: Mesh, let_in: Inbound) -> Inbound:
    """Which services lead to a port is nothing to an Envoy: pods of all of them share the rest."""
    ports = tuple(replace(port, services=()) for port in let_in.ports)
    mtls = let_in.mtls
    if mtls is not None:
        probes = tuple(replace(port, services=()) for port in mtls.probes)
        mtls = replace(mtls, probes=probes)
    return replace(let_in, ports=ports, mtls=mtls)


def _outward(mesh: Mesh, let_out: Outbound) -> Layers:
    """For what a sidecar lets out: layers of all accounts that may reach the same."""
    reachable = let_out.destinations
    return {
        CLUSTER: (
            *_mesh_clusters(mesh, reachable, let_out.mtls),
            mesh.query(_encoded, envoy.egress_clusters, let_out.egress),
        ),
        LISTENER: (mesh.query(_outbound_listener, _as_sent(let_out)),),
        ROUTES: (
            *_mesh_routes(mesh, reachable, let_out.retries),
            mesh.query(_encoded, envoy.egress_routes, let_out.egress),
        ),
    }


def _inward(mesh: Mesh, let_in: Inbound) -> Layers:
    """For what a sidecar lets in, and what every sidecar has."""
    return {
        CLUSTER: (
            mesh.query(_encoded, envoy.inbound_clusters, let_in),
            mesh.query(_encoded, envoy.common_clusters),
        ),
        LISTENER: (
            mesh.query(_encoded, envoy.inbound_listener, let_in),
            mesh.query(_encoded, envoy.prometheus_listener),
        ),
        ROUTES: (mesh.query(_encoded, envoy.inbound_routes, let_in),),
    }


def _as_sent(let_out: Outbound) -> Outbound:
    """What is let out, whoever calls, whether or not it is encrypted, and however often: many
    accounts share it.
    """
    return replace(let_out, mtls=None, retries=()) if let_out.mtls or let_out.retries else let_out


def _mesh_routes(mesh: Mesh, reachable: Destinations, retries: Retries) -> tuple[Layer, ...]:
    """Those with retries are an account's own, and it shares all else."""
    if not retries:
        return (mesh.query(_encoded, envoy.outbound_routes, reachable),)
    retried = mesh.query(_named, reachable, frozenset(name for name, _ in retries))
    others = mesh.query(_without, reachable, retried)
    return (
        mesh.query(_encoded, envoy.outbound_routes, others),
        mesh.query(_encoded, envoy.retried_routes, retried, retries),
    )


def _named(_: Mesh, destinations: Destinations, names: frozenset[str]) -> Destinations:
    return Destinations(one for one in destinations if one.name in names)


def _mesh_clusters(
    mesh: Mesh, reachable: Destinations, client: ClientMtls | None
) -> tuple[Layer, ...]:
    """Those of mutual TLS name the account that calls, and share all else; the others share all."""
    if client is None:
        return (mesh.query(_encoded, envoy.outbound_clusters, reachable),)
    plain = mesh.query(_without, reachable, client.destinations)
    encrypted = mesh.query(_mtls_clusters, client.destinations, client.parameters)
    return (
        mesh.query(_encoded, envoy.outbound_clusters, plain),
        envoy.called_as(client.account, encrypted),
    )


def _mtls_clusters(mesh: Mesh, destinations: Destinations, parameters: TlsParameters) -> Layer:
    """Each is remembered on its own, for all accounts."""
    return Layer(tuple(mesh.query(_mtls_cluster, one, parameters) for one in destinations))


def _mtls_cluster(_: Mesh, destination: Destination, parameters: TlsParameters) -> Resource:
    return envoy.mtls_cluster(destination, parameters)


def _without(_: Mesh, destinations: Destinations, others: Destinations) -> Destinations:
    left_out = set(others)
    return Destinations(one for one in destinations if one not in left_out)


def _secrets(mesh: Mesh, client: ClientMtls | None, server: ServerMtls | None) -> tuple[Layer, ...]:
    """Every secret that a cluster or a chain of the snapshot names."""
    accounts = {one.account for one in (client, server) if one}
    layers = [mesh.query(_own_certificate, account) for account in accounts]
    if server:
        layers.append(mesh.query(_trust_of_server, server.account))
    if client:
        layers.append(mesh.query(_trust_of_client, client.destinations))
    return tuple(layers)


def _own_certificate(mesh: Mesh, account: Account) -> Layer:
    leaf = mesh.leaf(account)
    return Layer((envoy.certificate(leaf),) if leaf else ())


def _trust_of_server(mesh: Mesh, account: Account) -> Layer:
    roots = mesh.roots()
    return Layer((envoy.trust_of_server(account, roots),) if roots else ())


def _trust_of_client(mesh: Mesh, destinations: Destinations) -> Layer:
    services = sorted({(one.namespace, one.service) for one in destinations})
    secrets = (mesh.query(_trust_of_service, *service) for service in services)
    return Layer(tuple(secret for secret in secrets if secret))


def _trust_of_service(mesh: Mesh, namespace: str, service: str) -> Resource | None:
    roots, accounts = mesh.roots(), mesh.query(accounts_behind, namespace, service)
    return envoy.trust_of_client(namespace, service, roots, accounts) if roots else None


def _grpc(mesh: Mesh, proxyless_plan: ProxylessPlan) -> Snapshot:
    """What a gRPC client is offered; one snapshot for all that may call the same."""
    targets = proxyless_plan.targets
    layers = {
        CLUSTER: (mesh.query(_encoded, grpc.clusters, targets),),
        LISTENER: (mesh.query(_encoded, grpc.listeners, targets),),
        ROUTES: (mesh.query(_encoded, grpc.routes, targets),),
    }
    return Snapshot(_sets(mesh, layers), grpc.GrpcVocabulary(proxyless_plan.refusal), targets)


def _pipy(mesh: Mesh, sidecar: SidecarId, sidecar_plan: Plan) -> Snapshot:
    """One resource, which is the sidecar's own; its parts are shared."""
    let_out, let_in = _as_sent(sidecar_plan.outbound), sidecar_plan.inbound
    whole = pipy.config(
        str(sidecar),
        mesh.query(_pipy_spec, let_out.passthrough),
        mesh.query(_pipy_part, pipy.inbound, let_in),
        mesh.query(_pipy_outbound, let_out),
        mesh.query(_pipy_part, pipy.access_and_chains, let_in),
    )
    return Snapshot(_sets(mesh, {SIDECAR: (Layer((whole,)),)}), pipy.VOCABULARY)


def _pipy_spec(mesh: Mesh, passthrough: bool) -> bytes:  # noqa: FBT001 (a question's argument)
    return pipy.spec(config(mesh), passthrough=passthrough)


def _pipy_part(_: Mesh, encoder: Callable[[Inbound], bytes], let_in: Inbound) -> bytes:
    return encoder(let_in)


def _pipy_outbound(mesh: Mesh, let_out: Outbound) -> bytes:
    """Encoded once for all service accounts that may reach the same."""
    clusters = {
        one.name: mesh.query(_pipy_cluster, one.namespace, one.service, one.port, one.accounts)
        for one in let_out.destinations
        if not one.direct
    }
    return mesh.work(size(let_out), pipy.outbound, let_out, clusters)


def _pipy_cluster(
    mesh: Mesh, namespace: str, service: str, port: int, accounts: tuple[Account, ...]
) -> pipy.ClusterConfig:
    return pipy.cluster(mesh.query(endpoints, namespace, service, port, accounts))


def _withheld_from_pipy(mesh: Mesh, let_out: Outbound) -> tuple[Problem, ...]:
    return mesh.work(size(let_out), pipy.withheld, let_out)


def _closed_in_pipy(_: Mesh, let_in: Inbound) -> tuple[Problem, ...]:
    return pipy.closed_to_policies(let_in)


def _sets(mesh: Mesh, layers: Layers) -> dict[str, ResourceSet]:
    return {type_url: mesh.query(_set, type_url, parts) for type_url, parts in layers.items()}


def _set(_: Mesh, type_url: str, layers: tuple[Layer, ...]) -> ResourceSet:
    """One set for all snapshots that have it: what is worked out of it, is once."""
    return ResourceSet(type_url, layers)


def _encoded(mesh: Mesh, encoder: Callable[[*Ts], Layer], *planned: *Ts) -> Layer:
    """A layer, encoded once for all sidecars whose plans agree on *planned*."""
    return mesh.work(sum(map(size, planned)), _layer, encoder, *planned)


def _outbound_listener(mesh: Mesh, let_out: Outbound) -> Layer:
    """In-mesh destinations change more often than policies, whose chains are kept meanwhile."""
    chains = mesh.query(_egress_chains, let_out.egress)
    return mesh.work(size(let_out), _layer, envoy.outbound_listener, let_out, chains)


def _egress_chains(mesh: Mesh, opened: EgressPlan) -> envoy.Chains:
    return mesh.work(size(opened), envoy.egress_chains, opened)


def _layer(encoder: Callable[[*Ts], Layer], *planned: *Ts) -> Layer:
    """A layer with its version, which everybody asks for."""
    layer = encoder(*planned)
    _ = layer.version
    return layer


def _assignment_for(mesh: Mesh, one: Destination | ProxylessTarget) -> Resource:
    if isinstance(one, Destination) and one.accounts:
        return mesh.query(_part_of_assignment, one.namespace, one.service, one.port, one.accounts)
    return mesh.query(_assignment, one.namespace, one.service, one.port)


def _assignment(mesh: Mesh, namespace: str, service: str, port: int) -> Resource:
    behind = mesh.query(endpoints, namespace, service, port)
    return load_assignment(destination_name(namespace, service, port), behind)


def _part_of_assignment(
    mesh: Mesh, namespace: str, service: str, port: int, accounts: tuple[Account, ...]
) -> Resource:
    behind = mesh.query(endpoints, namespace, service, port, accounts)
    return mesh.query(_assignment_of, destination_name(namespace, service, port), behind)


def _assignment_of(_: Mesh, name: str, behind: tuple[Endpoint, ...]) -> Resource:
    """Encoded once, for whichever accounts these endpoints are."""
    return load_assignment(name, behind)
