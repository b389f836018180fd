"""Status: what has become of each policy, and which sidecars have it."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from towpath.answers.effect import Effect, Policy, references
from towpath.model.codes import Reason
from towpath.model.egress import HTTPRouteGroup, UpstreamTrafficSetting
from towpath.model.inmesh import TCPRoute
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, SidecarId, Stamp
from towpath.model.problem import Problem
from towpath.rollout.records import State, StreamRecord

Part = HTTPRouteGroup | TCPRoute | UpstreamTrafficSetting
"""What policies refer to, and which does nothing by itself."""


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
    """What has become of one policy, or of an object that policies refer to.

    `accepted`: at least a part of it has effect.
    """

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
    effect_of: Callable[[Policy], tuple[Effect, int]],
    current: Callable[[StreamRecord], str],
    *,
    policies_before: Callable[[Account], frozenset[ObjectRef]],
) -> tuple[PolicyStatus, ...]:
    """The status of every policy, by kind, namespace and name.

    *effect_of* gives the `effect` of a policy and the revision of the mesh at which that last
    changed, *policies_before* those `on_the_way` of what an account sends, *current* the version of
    the snapshot that a stream is to hold.
    """
    by_object: dict[ObjectRef, list[Problem]] = {}
    for problem in problems:
        by_object.setdefault(problem.object, []).append(problem)
    effects = {policy.ref: effect_of(policy) for policy in (*_policies(mesh), *_settings(mesh))}
    serving = [record for record in records if _counts(record)]
    callers: dict[ObjectRef, list[Account]] = {}
    for account in {cast("Account", record.account): None for record in serving}:
        for ref in policies_before(account):
            callers.setdefault(ref, []).append(account)
    # Last: it goes through all sidecars, and whoever asks in slices begins again with each.
    fleets = _fleets(serving, current)

    def status(one: Policy | Part, users: Iterable[Policy], *, accepted: bool) -> PolicyStatus:
        since: dict[Account, int] = {}
        for user in users:
            effect, changed = effects[user.ref]
            for account in (*effect.accounts, *callers.get(user.ref, ())):
                since[account] = max(changed, since.get(account, 0))
        counts = sum(
            (fleets[account].counts(at) for account, at in since.items() if account in fleets),
            Counts(),
        )
        own = tuple(sorted(by_object.get(one.ref, ())))
        return PolicyStatus(one.ref, one.stamp, accepted, own, counts)

    users = _users(mesh)
    statuses = [
        status(policy, (policy,), accepted=effects[policy.ref][0].opens)
        for policy in _policies(mesh)
    ]
    statuses += [
        status(part, _speaking(part, named), accepted=_usable(part, named, effects))
        for part in _parts(mesh)
        for named in (tuple(users.get((part.kind, part.namespace, part.name), ())),)
    ]
    return tuple(sorted(statuses, key=lambda status: status.ref))


def _policies(mesh: Mesh) -> Iterator[Policy]:
    for kind in (
        Kind.EGRESS,
        Kind.TRAFFIC_TARGET,
        Kind.TRAFFIC_SPLIT,
        Kind.RETRY,
        Kind.INGRESS_BACKEND,
    ):
        yield from cast("tuple[Policy, ...]", mesh.group(kind, "all"))


def _settings(mesh: Mesh) -> tuple[UpstreamTrafficSetting, ...]:
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    return cast("tuple[UpstreamTrafficSetting, ...]", settings)


def _speaking(part: Part, users: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """Whose sidecars count: those of the users, and a setting's own where it is of a Service."""
    return (*users, part) if isinstance(part, UpstreamTrafficSetting) else users


def _parts(mesh: Mesh) -> Iterator[Part]:
    for kind in (Kind.HTTP_ROUTE_GROUP, Kind.TCP_ROUTE, Kind.UPSTREAM_TRAFFIC_SETTING):
        yield from cast("tuple[Part, ...]", mesh.group(kind, "all"))


def _users(mesh: Mesh) -> dict[tuple[Kind, str, str], list[Policy]]:
    """The policies that refer to each object beside them."""
    users: dict[tuple[Kind, str, str], list[Policy]] = {}
    for policy in _policies(mesh):
        for kind, name in references(policy):
            users.setdefault((kind, policy.namespace, name), []).append(policy)
    return users


def _usable(
    part: Part,
    users: Sequence[Policy],
    effects: Mapping[ObjectRef, tuple[Effect, int]],
) -> bool:
    """True if what policies refer to says something, and one of them does something with it; or
    if a setting holds for a Service.
    """
    if isinstance(part, UpstreamTrafficSetting):
        return effects[part.ref][0].opens or (bool(users) and not part.closed)
    says = bool(part.matches) if isinstance(part, HTTPRouteGroup) else part.ports != ()
    return says and any(effects[user.ref][0].opens for user in users)


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


def _counts(record: StreamRecord) -> bool:
    """True for a stream of a sidecar that enforces policies, and has had a snapshot."""
    return record.kind.enforces and record.state is State.SERVING and record.account is not None


def _fleets(
    records: Iterable[StreamRecord], current: Callable[[StreamRecord], str]
) -> dict[Account, _Fleet]:
    """Every account's sidecars; one with several streams has accepted what all of them have."""
    by_account: dict[Account, dict[SidecarId, tuple[int, bool]]] = {}
    for record in records:
        everything = record.acknowledged(current(record))
        through = _ALL if everything else record.acknowledged_through
        others = by_account.setdefault(cast("Account", record.account), {})
        at, rejects = others.get(record.sidecar, (_ALL, False))
        others[record.sidecar] = min(at, through), rejects or record.rejects
    return {account: _Fleet(sidecars.values()) for account, sidecars in by_account.items()}
