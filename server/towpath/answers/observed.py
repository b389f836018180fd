"""What sidecars report, held against the mesh: whose it is, and which policies it is due to."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally
from towpath.planning import outbound
from towpath.planning.destinations import directory
from towpath.planning.egress.decide import Decision, decide


def account_at(mesh: Mesh, address: str) -> Account | None:
    """The service account of the pod that has the address; None if there is none, or several have
    it and differ, as on the network of a node.
    """
    accounts = {pod.account for pod in mesh.pods_at(address)}
    return accounts.pop() if len(accounts) == 1 else None


def inside(mesh: Mesh, address: str, port: int) -> bool:
    """True if that is a Service or a pod of the mesh: such traffic does not leave it."""
    dialled = (port, address) in mesh.query(directory).dialled
    return dialled or any(mesh.monitored(pod.namespace) for pod in mesh.pods_at(address))


def decisions(mesh: Mesh, flow: Flow, tally: Tally) -> tuple[tuple[Decision, int], ...]:
    """What is decided now about the reports of a flow, and about how many of them, by the address
    that was dialled.
    """
    if flow.account is None:
        return ()
    plan = mesh.query(outbound, flow.account)
    counts: list[tuple[str | None, int]] = list(tally.addresses.items())
    if tally.elsewhere:
        counts.append((None, tally.elsewhere))
    return tuple((decide(plan, flow.attempt(address)), count) for address, count in counts)


def policies(mesh: Mesh, flow: Flow, tally: Tally) -> tuple[str, ...]:
    """Which policies the verdict is due to: those that the sidecar named, else those by which the
    same is decided now.
    """
    if flow.policies or flow.passthrough:
        return flow.policies
    allowed = flow.verdict is Verdict.ALLOW
    same = (one for one, _ in decisions(mesh, flow, tally) if one.allowed is allowed)
    return tuple(sorted({policy for one in same for policy in one.policies}))
