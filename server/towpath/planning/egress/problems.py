"""What keeps a policy, or a part of it, from having effect."""

from __future__ import annotations

from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import Egress
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, Protocol
from towpath.model.problem import Problem
from towpath.planning.config import config
from towpath.planning.egress.accounts import unknown_sources
from towpath.planning.egress.limits import MOST_ENTRIES, admission, admission_of, size
from towpath.planning.egress.rules import (
    Rule,
    Speaking,
    needed,
    route_group,
    rules,
    setting_of,
    speaking,
)
from towpath.planning.egress.targets import Contest, contests


def egress_problems(mesh: Mesh) -> tuple[Problem, ...]:
    """The Problems of every policy, and of settings that contradict each other."""
    policies = cast("tuple[Egress, ...]", mesh.group(Kind.EGRESS, "all"))
    accounts = sorted({source for policy in policies for source in policy.sources})
    problems = {problem for policy in policies for problem in mesh.query(of_policy, policy)}
    closed: dict[str, list[Account]] = {}
    for account in accounts:
        problems |= {*mesh.query(_contested, account), *mesh.query(_waited_for, account)}
        for policy in mesh.query(admission, account).closed:
            closed.setdefault(policy, []).append(account)
    problems |= {_too_large(mesh, policy, closed_to) for policy, closed_to in closed.items()}
    return tuple(sorted(problems))


def _too_large(mesh: Mesh, policy: str, accounts: list[Account]) -> Problem:
    namespace, _, name = policy.partition("/")
    first, others = accounts[0], len(accounts) - 1
    whom = f"{first} and {others} other service accounts" if others else str(first)
    effect = "; its hosts stay named" if mesh.query(admission, first).passthrough else ""
    if config(mesh).enable_egress and not effect:
        effect = ", and neither does passthrough"
    text = (
        f"all Egresses of {first} need more than {MOST_ENTRIES} entries in a sidecar's "
        f"configuration: this one, among the largest, lets nothing out for {whom}{effect}"
    )
    return Problem(ObjectRef(Kind.EGRESS, namespace, name), "spec", Code.LARGE_EGRESS, text)


def of_policy(mesh: Mesh, policy: Egress) -> tuple[Problem, ...]:
    """What is wrong with one policy beside what its own text shows."""
    return (
        *_switched_off(mesh, policy),
        *_outside(mesh, policy),
        *_missing(mesh, policy),
        *(unknown_sources(mesh, policy) if mesh.monitored(policy.namespace) else ()),
    )


def _switched_off(mesh: Mesh, policy: Egress) -> tuple[Problem, ...]:
    if config(mesh).enable_egress_policy:
        return ()
    text = "spec.featureFlags.enableEgressPolicy of the MeshConfig is off: the Egress has no effect"
    return (Problem(policy.ref, "", Code.EGRESS_OFF, text),)


def _outside(mesh: Mesh, policy: Egress) -> tuple[Problem, ...]:
    """The policy, or its sources, are not of this mesh, or may not speak for each other."""
    label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
    if not mesh.monitored(policy.namespace):
        text = f"its namespace lacks the label {label}: the Egress has no effect"
        return (Problem(policy.ref, "metadata.namespace", Code.POLICY_OUTSIDE_MESH, text),)
    problems = []
    for account in policy.sources:
        if not mesh.monitored(account.namespace):
            text = f"namespace {account.namespace} lacks the label {label}: {account} gains nothing"
            problems.append(Problem(policy.ref, "spec.sources", Code.SOURCE_OUTSIDE_MESH, text))
        elif account.namespace != policy.namespace and not mesh.cross_namespace_egress:
            text = f"{account} is of another namespace, which this server does not allow"
            problems.append(Problem(policy.ref, "spec.sources", Code.FOREIGN_SOURCE, text))
    return tuple(problems)


def _missing(mesh: Mesh, policy: Egress) -> tuple[Problem, ...]:
    problems = []
    if policy.setting:
        setting = setting_of(mesh, policy)
        named = f"UpstreamTrafficSetting {policy.namespace}/{policy.setting}"
        if setting is None:
            text = f"{named} does not exist: the Egress allows nothing"
            problems.append(Problem(policy.ref, "spec.matches", Code.MISSING_SETTING, text))
        elif setting.closed:
            text = f"{named} has a limit that cannot be read: the Egress allows nothing"
            problems.append(Problem(policy.ref, "spec.matches", Code.UNREADABLE_SETTING, text))
    for name in policy.route_groups or ():
        if route_group(mesh, policy.namespace, name) is None:
            text = (
                f"HTTPRouteGroup {policy.namespace}/{name} does not exist: nothing of it is allowed"
            )
            problems.append(Problem(policy.ref, "spec.matches", Code.MISSING_ROUTE, text))
    return tuple(problems)


def _contested(mesh: Mesh, account: Account) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            loser.ref,
            "spec.connectionSettings",
            Code.CONFLICTING_SETTING,
            f"for {contest.target}, used by {account}, UpstreamTrafficSetting "
            f"{contest.winner.namespace}/{contest.winner.name} holds instead",
        )
        for contest in mesh.query(_contests_of, account.namespace, mesh.query(speaking, account))
        for loser in contest.losers
    )


def _contests_of(mesh: Mesh, namespace: str, policies: Speaking) -> tuple[Contest, ...]:
    admitted = mesh.query(admission_of, namespace, policies).rules
    return mesh.work(size(admitted), contests, admitted)


def _waited_for(mesh: Mesh, account: Account) -> tuple[Problem, ...]:
    """Servers that speak first to some addresses, on a port where other policies are about what
    the client says.
    """
    by_port: dict[int, list[Rule]] = {}
    for rule in mesh.query(rules, account):
        by_port.setdefault(rule.port, []).append(rule)
    problems = []
    for number, port_rules in by_port.items():
        asking = [r for r in needed(port_rules) if r.protocol in (Protocol.HTTP, Protocol.HTTPS)]
        silent = [r for r in port_rules if r.protocol is Protocol.TCP_SERVER_FIRST]
        for rule in silent if asking else ():
            namespace, _, name = rule.policy.partition("/")
            text = (
                f"port {number} of {account} is {asking[0].protocol} in Egress {asking[0].policy}, "
                "which needs the client's first bytes: a server that speaks first waits for them"
            )
            ref = ObjectRef(Kind.EGRESS, namespace, name)
            problems.append(Problem(ref, "spec.ports", Code.SERVER_FIRST, text))
    return tuple(problems)
