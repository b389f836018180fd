"""The plan of one sidecar."""

from __future__ import annotations

from dataclasses import replace

from towpath.model.mesh import Mesh
from towpath.model.names import Account, SidecarId
from towpath.model.plan import ClientMtls, Destinations, Outbound, Plan, PlanBasis
from towpath.planning.config import tls_parameters
from towpath.planning.destinations import encrypted
from towpath.planning.identity import identity_of
from towpath.planning.inbound import inbound
from towpath.planning.outbound import outbound


def plan_basis(mesh: Mesh, sidecar: SidecarId) -> PlanBasis | None:
    """What the sidecar's plan is made from; None for a pod that does not exist."""
    pod = mesh.pod(sidecar)
    if pod is None:
        return None
    return PlanBasis(pod.account, identity_of(mesh, pod), mesh.query(inbound, pod))


def plan(mesh: Mesh, basis: PlanBasis) -> Plan:
    """What a sidecar of that basis must do.

    The plan's two parts are shared more widely still, and so is all that is encoded from them.
    """
    let_out = mesh.query(outbound, basis.account)
    if basis.identity is not None:
        let_out = mesh.query(_calling_as, basis.identity, let_out)
    return Plan(outbound=let_out, inbound=basis.inbound)


def _calling_as(mesh: Mesh, account: Account, let_out: Outbound) -> Outbound:
    """The same, by mutual TLS wherever that is taken."""
    destinations = mesh.query(_encrypted_among, let_out.destinations)
    if not destinations:
        return let_out
    return replace(let_out, mtls=ClientMtls(account, destinations, mesh.query(tls_parameters)))


def _encrypted_among(mesh: Mesh, destinations: Destinations) -> Destinations:
    """Made once for all accounts that may reach the same, each as these reach it."""
    by_mtls = mesh.query(_encrypted_names)
    return Destinations(one for one in destinations if one.name in by_mtls)


def _encrypted_names(mesh: Mesh) -> frozenset[str]:
    return frozenset(one.name for one in mesh.query(encrypted))
