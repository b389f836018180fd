"""Status: what has become of each policy, and which sidecars have it."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from towpath.model.codes import Reason
from towpath.model.egress import Egress, UpstreamTrafficSetting
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, SidecarId, Stamp
from towpath.model.problem import Problem
from towpath.planning.egress.limits import admission
from towpath.planning.egress.rules import Rule
from towpath.rollout.records import State, StreamRecord

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
    records: Iterable[StreamRecord],
    effect_of: Callable[[Egress], tuple[tuple[Rule, ...], int]],
    current: Callable[[StreamRecord], str],
) -> tuple[PolicyStatus, ...]:
    """The status of every policy, by kind, namespace and name.

    *effect_of* gives the `effect` of an Egress and the revision of the mesh at which that last
    changed, *current* the version of the snapshot that a stream is to hold.
    """
    by_object: dict[ObjectRef, list[Problem]] = {}
    for problem in problems:
        by_object.setdefault(problem.object, []).append(problem)
    fleets = _fleets(records, current)

    def status(policy: Policy, users: tuple[Egress, ...], *, accepted: bool = True) -> PolicyStatus:
        since: dict[Account, int] = {}
        for user in users:
            _, changed = effect_of(user)
            for source in user.sources:
                since[source] = max(changed, since.get(source, 0))
        counts = sum(
            (fleets[account].counts(at) for account, at in since.items() if account in fleets),
            Counts(),
        )
        policy_problems = tuple(sorted(by_object.get(policy.ref, ())))
        return PolicyStatus(policy.ref, policy.stamp, accepted, policy_problems, counts)

    policies = cast("tuple[Egress, ...]", mesh.group(Kind.EGRESS, "all"))
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    users: dict[tuple[str, str | None], list[Egress]] = {}
    for policy in policies:
        users.setdefault((policy.namespace, policy.setting), []).append(policy)
    return (
        *(status(p, (p,), accepted=_opens(effect_of(p)[0])) for p in policies),
        *(
            status(setting, named, accepted=bool(named) and not setting.closed)
            for setting in cast("tuple[UpstreamTrafficSetting, ...]", settings)
            for named in (tuple(users.get((setting.namespace, setting.name), ())),)
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
        for rule in mesh.query(_opened_by, account).get(policy.label, ())
    )


def _opened_by(mesh: Mesh, account: Account) -> dict[str, list[Rule]]:
    """What each policy opens to the account."""
    by_policy: dict[str, list[Rule]] = {}
    for rule in mesh.query(admission, account).rules:
        by_policy.setdefault(rule.policy, []).append(rule)
    return by_policy


def _opens(allowed: tuple[Rule, ...]) -> bool:
    """True if something is opened for at least one source."""
    return any(() not in (rule.hosts, rule.ranges, rule.matches) for rule in allowed)


_ALL = sys.maxsize
"""A revision later than every other: that of a sidecar which has accepted all there is."""


class _Fleet:
    """The sidecars of one account, by the revision of the mesh through which each has accepted.

    Both lists are sorted, so that thousands of policies can ask about thousands of sidecars.
    """

    def __init__(self, sidecars: Iterable[tuple[int, bool]]) -> None:
        pairs = tuple(sidecars)
        self._through = sorted(through for through, _ in pairs)
        self._rejecting = sorted(through for through, rejects in pairs if rejects)

    def counts(self, since: int) -> Counts:
        """Of all of them, for what has its present form since that revision."""
        affected = len(self._through)
        behind = bisect_left(self._through, since)
        return Counts(affected, affected - behind, bisect_left(self._rejecting, since))


def _fleets(
    records: Iterable[StreamRecord], current: Callable[[StreamRecord], str]
) -> dict[Account, _Fleet]:
    """Every account's sidecars; one with several streams has accepted what all of them have."""
    by_account: dict[Account, dict[SidecarId, tuple[int, bool]]] = {}
    for record in records:
        if not record.kind.enforces:
            continue
        if record.state is State.SERVING and record.account is not None:
            everything = record.acknowledged(current(record))
            through = _ALL if everything else record.acknowledged_through
            others = by_account.setdefault(record.account, {})
            at, rejects = others.get(record.sidecar, (_ALL, False))
            others[record.sidecar] = min(at, through), rejects or record.rejects
    return {account: _Fleet(sidecars.values()) for account, sidecars in by_account.items()}
