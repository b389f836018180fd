"""Status: what has become of each policy, and which sidecars have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from towpath.hub.deliveries import Delivery, State
from towpath.model.egress import Egress, UpstreamTrafficSetting
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef
from towpath.model.problem import Problem, Reason
from towpath.planning.egress.rules import rules


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """One Egress or UpstreamTrafficSetting.

    `accepted`: at least a part of it has effect. `affected` counts the connected sidecars that it
    speaks for, `acknowledged` those of them that have accepted all they were sent for it.
    """

    ref: ObjectRef
    accepted: bool
    in_conflict: bool
    problems: tuple[Problem, ...]
    affected: int
    acknowledged: int


def policy_statuses(
    mesh: Mesh,
    problems: Iterable[Problem],
    deliveries: Iterable[Delivery],
    current: Callable[[Delivery], str],
) -> tuple[PolicyStatus, ...]:
    """The status of every policy, by kind, namespace and name.

    *current* gives the version of the snapshot that a stream is to hold.
    """
    by_object: dict[ObjectRef, list[Problem]] = {}
    for problem in problems:
        by_object.setdefault(problem.object, []).append(problem)
    by_account: dict[Account, list[bool]] = {}
    for delivery in deliveries:
        if delivery.state is State.SERVING and delivery.account is not None:
            held = delivery.acknowledged(current(delivery))
            by_account.setdefault(delivery.account, []).append(held)
    policies = cast("tuple[Egress, ...]", mesh.group(Kind.EGRESS, "all"))
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    speaking = [(p.ref, _effective(mesh, p), p.sources) for p in policies]
    for setting in cast("tuple[UpstreamTrafficSetting, ...]", settings):
        using = [
            p for p in policies if (p.namespace, p.setting) == (setting.namespace, setting.name)
        ]
        sources = tuple(sorted({source for policy in using for source in policy.sources}))
        speaking.append((setting.ref, True, sources))
    return tuple(
        _status(ref, by_object.get(ref, []), sources, by_account, accepted=accepted)
        for ref, accepted, sources in speaking
    )


def _effective(mesh: Mesh, policy: Egress) -> bool:
    """True if the policy opens something for at least one of its sources."""
    return any(
        rule.policy == policy.label and () not in (rule.hosts, rule.ranges, rule.matches)
        for account in policy.sources
        for rule in mesh.ask(rules, account)
    )


def _status(
    ref: ObjectRef,
    problems: list[Problem],
    sources: tuple[Account, ...],
    by_account: dict[Account, list[bool]],
    *,
    accepted: bool,
) -> PolicyStatus:
    streams = [held for account in sources for held in by_account.get(account, [])]
    return PolicyStatus(
        ref=ref,
        accepted=accepted,
        in_conflict=any(problem.reason is Reason.CONFLICT for problem in problems),
        problems=tuple(sorted(problems)),
        affected=len(streams),
        acknowledged=sum(streams),
    )
