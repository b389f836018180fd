"""Plans and encoders put together: the snapshot of one sidecar, as questions about the mesh.

Each question below is remembered on its own, so that a change is encoded once for everybody and
only where it matters: in-mesh clusters and routes are the whole mesh's, endpoints a service
port's, the outbound listener a service account's, the inbound parts a set of services'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

from towpath.encode import envoy
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.plan import Destination, Destinations, Inbound, Plan
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.planning import endpoints, inbound, outbound

Ts = TypeVarTuple("Ts")


def plan(mesh: Mesh, sidecar: SidecarId) -> Plan | None:
    """What the sidecar must do; None for a pod that does not exist."""
    pod = mesh.pod(sidecar)
    if pod is None:
        return None
    return Plan(outbound=mesh.ask(outbound, pod.account), inbound=mesh.ask(inbound, pod))


def snapshot(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
    """What the sidecar is to hold; None for a pod that does not exist."""
    pod = mesh.pod(sidecar)
    if pod is None:
        return None
    match kind:
        case ClientKind.ENVOY:
            return mesh.ask(_envoy, pod.account, mesh.ask(inbound, pod))


def _envoy(mesh: Mesh, account: Account, let_in: Inbound) -> Snapshot:
    let_out = mesh.ask(outbound, account)
    reachable = let_out.destinations
    layers = {
        CLUSTER: (
            mesh.ask(_encoded, envoy.outbound_clusters, reachable),
            mesh.ask(_encoded, envoy.egress_clusters, let_out.ways),
            mesh.ask(_encoded, envoy.inbound_clusters, let_in),
            mesh.ask(_encoded, envoy.common_clusters),
        ),
        ENDPOINTS: (mesh.ask(_assignments, reachable),),
        LISTENER: (
            mesh.ask(_encoded, envoy.outbound_listener, let_out),
            mesh.ask(_encoded, envoy.inbound_listener, let_in),
            mesh.ask(_encoded, envoy.prometheus_listener),
        ),
        ROUTES: (
            mesh.ask(_encoded, envoy.outbound_routes, reachable),
            mesh.ask(_encoded, envoy.egress_routes, let_out.ways),
            mesh.ask(_encoded, envoy.inbound_routes, let_in),
        ),
    }
    sets = {type_url: ResourceSet(type_url, held) for type_url, held in layers.items()}
    return Snapshot(sets, revoke=envoy.revoked)


def _encoded(_: Mesh, encoder: Callable[[*Ts], Layer], *planned: *Ts) -> Layer:
    """A layer, encoded once for all sidecars whose plans agree on *planned*."""
    return encoder(*planned)


def _assignments(mesh: Mesh, reachable: Destinations) -> Layer:
    return Layer(tuple(mesh.ask(_assignment, d) for d in reachable if not d.direct))


def _assignment(mesh: Mesh, destination: Destination) -> Resource:
    behind = mesh.ask(endpoints, destination.namespace, destination.service, destination.port)
    return envoy.load_assignment(destination.name, behind)
