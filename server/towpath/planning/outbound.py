"""What a sidecar lets out."""

from __future__ import annotations

from towpath.model.egress_plan import EgressPlan
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.model.observation import EgressObservation
from towpath.model.plan import Destinations, Outbound, Refused
from towpath.planning.config import config
from towpath.planning.destinations import directory
from towpath.planning.egress.limits import admission, admission_of, admit, size
from towpath.planning.egress.observation import observation, observed
from towpath.planning.egress.plan import egress_plan, outside
from towpath.planning.egress.rules import Rule, Speaking, rules_of, speaking
from towpath.planning.inmesh.grants import by_policies
from towpath.planning.inmesh.reachable import reachable as reachable_by
from towpath.planning.inmesh.reachable import refused as refused_to
from towpath.planning.inmesh.retries import retries


def outbound(mesh: Mesh, account: Account) -> Outbound:
    """The outbound plan of every sidecar of one service account.

    Outside the mesh, or without a MeshConfig, nothing is let out.
    """
    if not mesh.monitored(account.namespace):
        return Outbound(destinations=Destinations(), passthrough=False)
    egress = mesh.query(policies_open, account)
    return _outbound(mesh, account, egress, passes=mesh.query(admission, account).passthrough)


def closed_outbound(mesh: Mesh, account: Account) -> Outbound:
    """What it would be if egress passthrough were off."""
    if not mesh.monitored(account.namespace):
        return Outbound(destinations=Destinations(), passthrough=False)
    egress = mesh.query(_closed_plan, account.namespace, mesh.query(speaking, account))
    return _outbound(mesh, account, egress, passes=False)


def _outbound(mesh: Mesh, account: Account, egress: EgressPlan, *, passes: bool) -> Outbound:
    reachable, taken = Destinations(), frozenset[tuple[int, str]]()
    refused: tuple[Refused, ...] = ()
    if config(mesh).permissive:
        mesh_directory = mesh.query(directory)
        reachable, taken = mesh_directory.reachable, egress.single & mesh_directory.dialled
    elif by_policies(mesh):
        reachable = mesh.query(reachable_by, account)
        if egress.ports or passes:
            refused = mesh.query(refused_to, account)
        taken = egress.single & mesh.query(directory).dialled
    return Outbound(
        destinations=reachable,
        refused=refused,
        egress=mesh.query(_outside, egress, taken),
        passthrough=passes,
        retries=mesh.query(retries, account, reachable),
    )


def policies_open(mesh: Mesh, account: Account) -> EgressPlan:
    """What policies open for the account: nothing of it depends on what the mesh holds."""
    return mesh.query(_egress_plan, account.namespace, mesh.query(speaking, account))


def _egress_plan(mesh: Mesh, namespace: str, policies: Speaking) -> EgressPlan:
    admitted = mesh.query(admission_of, namespace, policies)
    mode = mesh.query(observation, namespace)
    return mesh.work(size(admitted.rules), _hashed, admitted.rules, admitted.passthrough, mode)


def _closed_plan(mesh: Mesh, namespace: str, policies: Speaking) -> EgressPlan:
    all_rules = mesh.query(rules_of, policies)
    return mesh.work(size(all_rules), _closed, all_rules, namespace)


def _closed(rules: tuple[Rule, ...], namespace: str) -> EgressPlan:
    return egress_plan(admit(rules, namespace, False).rules, passthrough=False)  # noqa: FBT003 (work's argument)


def _hashed(
    rules: tuple[Rule, ...],
    passthrough: bool,  # noqa: FBT001 (work's argument)
    mode: EgressObservation,
) -> EgressPlan:
    """The plan of the rules, hashed where they are made: what is encoded is looked up by that."""
    plan = observed(egress_plan(rules, passthrough=passthrough), mode, passthrough=passthrough)
    hash(plan)
    return plan


def _outside(_: Mesh, plan: EgressPlan, taken: frozenset[tuple[int, str]]) -> EgressPlan:
    return outside(plan, taken)
