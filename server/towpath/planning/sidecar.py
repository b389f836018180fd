"""The plan of one sidecar."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import SidecarId
from towpath.model.plan import Plan
from towpath.planning.inbound import inbound
from towpath.planning.outbound import outbound


def plan(mesh: Mesh, sidecar: SidecarId) -> Plan | None:
    """What the sidecar must do; None for a pod that does not exist.

    Its two parts are shared with other sidecars, and so is all that is encoded from equal plans.
    """
    pod = mesh.pod(sidecar)
    if pod is None:
        return None
    return Plan(outbound=mesh.ask(outbound, pod.account), inbound=mesh.ask(inbound, pod))
