"""The plan of one sidecar, by its name."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import SidecarId
from towpath.model.plan import Plan
from towpath.planning import plan, plan_basis


def sidecar_plan(mesh: Mesh, sidecar: SidecarId) -> Plan | None:
    """What the sidecar must do; None for a pod that does not exist."""
    basis = plan_basis(mesh, sidecar)
    return None if basis is None else plan(mesh, basis)
