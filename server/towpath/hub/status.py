"""Status: what has become of each policy, and which sidecars have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from towpath.hub.deliveries import Delivery, State
from towpath.model.egress import Egress, UpstreamTrafficSetting
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, Stamp
from towpath.model.problem import Problem, Reason
from towpath.planning.egress.rules import Rule, rules

Policy = Egress | UpstreamTrafficSetting


@dataclass(frozen=True, slots=True)
class Counts:
    """Connected sidecars: those that a policy speaks for, those of them that have accepted what
    was sent for its present form, and those that have rejected what they were sent last.
    """

    affected: int = 0
    acknowledged: int = 0
    rejecting: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.affected + other.affected,
            self.acknowledged + other.acknowledged,
            self.rejecting + other.rejecting,
        )


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """One Egress or UpstreamTrafficSetting; `accepted`: at least a part of it has effect."""

    ref: ObjectRef
    stamp: Stamp
    accepted: bool
    problems: tuple[Problem, ...]
    counts: Counts

    @property
    def in_conflict(self) -> bool:
        return any(problem.reason is Reason.CONFLICT for problem in self.problems)


def policy_statuses(
    mesh: Mesh,
    problems: Iterable[Problem],
    deliveries: Iterable[Delivery],
    effect_of: Callable[[Egress], tuple[tuple[Rule, ...], int]],
    current: Callable[[Delivery], str],
) -> tuple[PolicyStatus, ...]:
    """The status of every policy, by kind, namespace and name.

    *effect_of* gives the `effect` of an Egress and the revision of the mesh at which that last
    changed, *current* the version of the snapshot that a stream is to hold.
    """
    by_object: dict[ObjectRef, list[Problem]] = {}
    for problem in problems:
        by_object.setdefault(problem.object, []).append(problem)
    streams: dict[Account, list[_Held]] = {}
    for delivery in deliveries:
        if not delivery.kind.enforces:
            continue
        if delivery.state is State.SERVING and delivery.account is not None:
            held = _Held.of(delivery, current(delivery))
            streams.setdefault(delivery.account, []).append(held)

    def status(policy: Policy, users: tuple[Egress, ...], *, accepted: bool = True) -> PolicyStatus:
        since: dict[Account, int] = {}
        for user in users:
            _, changed = effect_of(user)
            for source in user.sources:
                since[source] = max(changed, since.get(source, 0))
        counts = sum(
            (held.counts(at) for account, at in since.items() for held in streams.get(account, ())),
            Counts(),
        )
        found = tuple(sorted(by_object.get(policy.ref, ())))
        return PolicyStatus(policy.ref, policy.stamp, accepted, found, counts)

    policies = cast("tuple[Egress, ...]", mesh.group(Kind.EGRESS, "all"))
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    users: dict[tuple[str, str | None], list[Egress]] = {}
    for policy in policies:
        users.setdefault((policy.namespace, policy.setting), []).append(policy)
    return (
        *(status(p, (p,), accepted=_opens(effect_of(p)[0])) for p in policies),
        *(
            status(setting, tuple(users.get((setting.namespace, setting.name), ())))
            for setting in cast("tuple[UpstreamTrafficSetting, ...]", settings)
        ),
    )


def effect(mesh: Mesh, namespace: str, name: str) -> tuple[Rule, ...]:
    """All that one Egress allows, to all its sources; a question about the mesh."""
    policy = cast("Egress | None", mesh.get(Kind.EGRESS, namespace, name))
    if policy is None:
        return ()
    return tuple(
        rule
        for account in policy.sources
        for rule in mesh.ask(rules, account)
        if rule.policy == policy.label
    )


def _opens(allowed: tuple[Rule, ...]) -> bool:
    """True if something is opened for at least one source."""
    return any(() not in (rule.hosts, rule.ranges, rule.matches) for rule in allowed)


@dataclass(frozen=True, slots=True)
class _Held:
    """How far one stream has come: it has accepted all there is, or all up to a revision."""

    everything: bool
    through: int
    rejects: bool

    @classmethod
    def of(cls, delivery: Delivery, current: str) -> _Held:
        everything = delivery.acknowledged(current)
        return cls(everything, delivery.acknowledged_through, delivery.rejects)

    def counts(self, since: int) -> Counts:
        held = self.everything or self.through >= since
        return Counts(1, int(held), int(self.rejects and not held))
