"""The plan of one sidecar."""

from __future__ import annotations

from dataclasses import replace

from towpath.model.mesh import Mesh
from towpath.model.names import Account, SidecarId
from towpath.model.plan import ClientMtls, Destinations, Outbound, Plan
from towpath.planning.config import config
from towpath.planning.destinations import encrypted
from towpath.planning.identity import identity_of
from towpath.planning.inbound import inbound
from towpath.planning.outbound import outbound


def plan(mesh: Mesh, sidecar: SidecarId) -> Plan | None:
    """What the sidecar must do; None for a pod that does not exist.

    Its two parts are shared with other sidecars, and so is all that is encoded from equal plans.
    """
    pod = mesh.pod(sidecar)
    if pod is None:
        return None
    account, let_out = identity_of(mesh, pod), mesh.query(outbound, pod.account)
    if account is not None:
        let_out = mesh.query(_calling_as, account, let_out)
    return Plan(outbound=let_out, inbound=mesh.query(inbound, pod))


def _calling_as(mesh: Mesh, account: Account, let_out: Outbound) -> Outbound:
    """The same, by mutual TLS wherever that is taken."""
    destinations = mesh.query(_encrypted_among, let_out.destinations)
    if not destinations:
        return let_out
    return replace(let_out, mtls=ClientMtls(account, destinations, config(mesh).tls))


def _encrypted_among(mesh: Mesh, destinations: Destinations) -> Destinations:
    """Found once for all accounts that may reach the same."""
    reachable = set(destinations)
    return Destinations(one for one in mesh.query(encrypted) if one in reachable)
