"""What sidecars report, held against the mesh: whose it is, and which policies it is due to."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Counts
from towpath.planning import outbound
from towpath.planning.destinations import directory
from towpath.planning.egress.decide import decide
from towpath.planning.inmesh.grants import targets_of


def account_at(mesh: Mesh, address: str) -> Account | None:
    """The service account of the pod that has the address; None if there is none, if several have
    it and differ, or if it is that of a node, from which its kubelet calls too.
    """
    pods = mesh.pods_at(address)
    accounts = {pod.account for pod in pods}
    alone = len(accounts) == 1 and not any(pod.host_network for pod in pods)
    return accounts.pop() if alone else None


def inside(mesh: Mesh, address: str, port: int) -> bool:
    """True if that is a Service or a pod of the mesh: such traffic does not leave it."""
    dialled = (port, address) in mesh.query(directory).dialled
    return dialled or any(mesh.monitored(pod.namespace) for pod in mesh.pods_at(address))


def policies(mesh: Mesh, flow: Flow, counts: Counts) -> tuple[str, ...]:
    """Which policies the verdict is due to: those that the sidecar named, else those by which the
    same is decided now.
    """
    if flow.policies or flow.passthrough or flow.account is None:
        return flow.policies
    plan = mesh.query(outbound, flow.account)
    decisions = (decide(plan, flow.attempt(address)) for address, _ in counts)
    allowed = flow.verdict is Verdict.ALLOW
    same = (decision for decision in decisions if decision.allowed is allowed)
    return tuple(sorted({policy for decision in same for policy in decision.policies}))


def targets_for(mesh: Mesh, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[tuple[str, ...], ...]:
    """Of flows inside the mesh, the TrafficTargets that let the caller call those pods, if with
    something else.
    """
    return tuple(mesh.query(_targets_for, flow.account, flow.host) for flow, _ in flows)


def _targets_for(mesh: Mesh, account: Account | None, called: str) -> tuple[str, ...]:
    if not called or account is None:
        return ()
    targets = targets_of(mesh, Account.parse(called))
    return tuple(target.label for target in targets if account in target.sources)


def due_to(mesh: Mesh, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[tuple[str, ...], ...]:
    """The same for many flows."""
    return tuple(mesh.query(policies, flow, counts) for flow, counts in flows)
