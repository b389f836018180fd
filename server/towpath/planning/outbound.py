"""What a sidecar lets out."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.model.plan import Destinations, Outbound
from towpath.planning.config import config
from towpath.planning.destinations import directory
from towpath.planning.egress.rules import rules
from towpath.planning.egress.ways import ways


def outbound(mesh: Mesh, account: Account) -> Outbound:
    """The outbound plan of every sidecar of one service account.

    Outside the mesh, or without a MeshConfig, nothing is let out.
    """
    if not mesh.monitored(account.namespace):
        return Outbound(destinations=Destinations(), passthrough=False)
    switches = config(mesh)
    reachable = mesh.ask(directory).reachable if switches.permissive else Destinations()
    allowed = mesh.ask(rules, account)
    return Outbound(
        destinations=reachable,
        ways=ways(allowed, reachable, passthrough=switches.enable_egress),
        passthrough=switches.enable_egress,
    )
