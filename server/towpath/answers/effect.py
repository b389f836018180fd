"""Effect: what one policy makes of sidecars' plans, and whose; two are equal if nothing differs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from towpath.model.egress import ConnectionSettings, Egress, UpstreamTrafficSetting
from towpath.model.ingress import IngressBackend
from towpath.model.inmesh import TrafficSplit, TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef
from towpath.model.plan import Branch, Destination
from towpath.model.retries import Retry
from towpath.planning import outbound
from towpath.planning.destinations import destinations_of
from towpath.planning.egress.limits import admission
from towpath.planning.egress.rules import Rule
from towpath.planning.inbound import oversized
from towpath.planning.inmesh.grants import by_policies, callers, grant_of
from towpath.planning.inmesh.ingress import entries_of
from towpath.planning.inmesh.retries import holding
from towpath.planning.inmesh.settings import holds, setting_of

Policy = Egress | TrafficTarget | TrafficSplit | Retry | IngressBackend | UpstreamTrafficSetting


@dataclass(frozen=True, slots=True)
class Effect:
    """What a policy puts into plans (`parts`, none if it has no effect), and the accounts that it
    names; those that call a Service which it is about are not among them: see `on_the_way`.
    """

    accounts: frozenset[Account] = frozenset()
    parts: tuple[Hashable, ...] = ()
    opens: bool = False


def effect(mesh: Mesh, kind: Kind, namespace: str, name: str) -> Effect:
    """The effect of one policy; a question about the mesh."""
    policy = mesh.get(kind, namespace, name)
    match policy:
        case Egress():
            return _of_egress(mesh, policy)
        case TrafficTarget():
            return _of_target(mesh, policy)
        case TrafficSplit():
            return _of_split(mesh, policy)
        case IngressBackend():
            return _of_ingress(mesh, policy)
        case Retry():
            return _of_retry(mesh, policy)
        case UpstreamTrafficSetting():
            return _of_setting(mesh, policy)
    return Effect()


def on_the_way(mesh: Mesh, account: Account) -> frozenset[ObjectRef]:
    """The TrafficSplits that divide something for the account, and the settings of Services that
    limit what it sends.
    """
    return frozenset(
        ref
        for destination in mesh.query(outbound, account).destinations
        for ref in _before(mesh, destination)
    )


def references(policy: Policy) -> Iterator[tuple[Kind, str]]:
    """The objects of its namespace that a policy refers to."""
    if isinstance(policy, TrafficTarget):
        yield from {(rule.kind, rule.name) for rule in policy.rules}
    if isinstance(policy, Egress | TrafficSplit):
        for name in policy.route_groups or ():
            yield Kind.HTTP_ROUTE_GROUP, name
    if isinstance(policy, Egress) and policy.setting is not None:
        yield Kind.UPSTREAM_TRAFFIC_SETTING, policy.setting


def _before(mesh: Mesh, destination: Destination) -> Iterator[ObjectRef]:
    for branch in destination.branches if destination.addresses else ():
        namespace, _, name = branch.policy.partition("/")
        yield ObjectRef(Kind.TRAFFIC_SPLIT, namespace, name)
    if destination.settings != ConnectionSettings():
        setting = mesh.query(setting_of, destination.namespace, destination.service)
        if setting is not None:
            yield setting.ref


def _of_egress(mesh: Mesh, policy: Egress) -> Effect:
    rules = tuple(
        rule
        for account in policy.sources
        for rule in mesh.query(_opened_by, account).get(policy.label, ())
    )
    opens = any(() not in (rule.hosts, rule.ranges, rule.matches) for rule in rules)
    return Effect(frozenset(policy.sources), rules, opens)


def _opened_by(mesh: Mesh, account: Account) -> dict[str, list[Rule]]:
    """What each policy opens to the account."""
    by_policy: dict[str, list[Rule]] = {}
    for rule in mesh.query(admission, account).rules:
        by_policy.setdefault(rule.policy, []).append(rule)
    return by_policy


def _of_target(mesh: Mesh, target: TrafficTarget) -> Effect:
    sources = frozenset(one for one in target.sources if mesh.monitored(one.namespace))
    if target.destination is None:
        return Effect()
    accounts = sources | {target.destination}
    in_force = by_policies(mesh) and mesh.monitored(target.namespace) and not target.closed
    grant = mesh.query(grant_of, target)
    if (
        not in_force
        or not sources
        or grant.empty
        or _too_large(mesh, target, frozenset({target.destination}))
    ):
        return Effect(accounts)
    return Effect(accounts, (grant, mesh.query(callers, target)), opens=True)


def _of_split(mesh: Mesh, split: TrafficSplit) -> Effect:
    root = mesh.service(split.namespace, split.root)
    if root is None or not mesh.monitored(split.namespace):
        return Effect()
    parts: tuple[tuple[int, Branch], ...] = tuple(
        (destination.port, branch)
        for destination in mesh.query(destinations_of, root)
        for branch in destination.branches
        if branch.policy == split.label
    )
    return Effect(parts=parts, opens=bool(parts))


def _of_retry(mesh: Mesh, retry: Retry) -> Effect:
    if retry.source is None:
        return Effect()
    by_service = mesh.query(holding, retry.source)
    parts = tuple(one for one in retry.destinations if by_service.get(one) == retry)
    opens = any(mesh.monitored(one[0]) and mesh.service(*one) for one in parts)
    return Effect(frozenset({retry.source}), (retry.policy, *parts) if opens else (), opens)


def _of_setting(mesh: Mesh, setting: UpstreamTrafficSetting) -> Effect:
    """Of a setting of a Service, whose pods count what comes in."""
    if not holds(mesh, setting):
        return Effect()
    accounts = mesh.query(_answering, setting.namespace, setting.service)
    if _too_large(mesh, setting, accounts):
        return Effect(accounts)
    return Effect(accounts, (setting.settings, setting.limits), opens=True)


def _too_large(
    mesh: Mesh,
    policy: TrafficTarget | IngressBackend | UpstreamTrafficSetting,
    accounts: frozenset[Account],
) -> bool:
    """True if no pod of the accounts has room for what the policy lets in, or limits."""
    named = [
        {one.object for one in mesh.query(oversized, pod)}
        for account in sorted(accounts)
        for pod in mesh.pods_of(account)
    ]
    return bool(named) and all(policy.ref in refs for refs in named)


def _of_ingress(mesh: Mesh, policy: IngressBackend) -> Effect:
    entries = entries_of(mesh, policy)
    accounts = frozenset(
        account
        for backend in policy.backends
        for account in mesh.query(_answering, policy.namespace, backend.service)
    )
    if _too_large(mesh, policy, accounts):
        return Effect(accounts)
    return Effect(accounts, entries, opens=bool(entries))


def _answering(mesh: Mesh, namespace: str, service: str) -> frozenset[Account]:
    """The accounts of the pods behind a service."""
    return frozenset(
        pod.account
        for one in mesh.slices(namespace, service)
        for address in one.addresses
        for pod in mesh.pods_at(address)
    )
