"""Audit: what would become of reported traffic if egress passthrough were off.

It is judged by `planning.egress.decide`, as `explain` does, on the plan that the account's sidecars
would be sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.answers.observed import account_at, inside
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.paths import ANY_PATH
from towpath.model.plan import Outbound
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Counts
from towpath.planning import closed_outbound
from towpath.planning.config import config
from towpath.planning.egress.decide import ALONE, NO_BYTES, PASSTHROUGH_OFF, decide, deciding_host

_LAST = (ALONE, NO_BYTES, PASSTHROUGH_OFF)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How many reports of a flow that was let out `stay` allowed, are `refused`, and how many hang
    on what was not kept: the path, or headers; all are 0 for a flow that was refused anyway.

    `account` is None where it is not known whose the flow is, which nobody can judge then; one
    that is `inside` the mesh passthrough has no part in. `policies` allow what stays; `reason` is
    why the rest is refused, or depends on more.
    """

    account: Account | None
    inside: bool = False
    stay: int = 0
    refused: int = 0
    unclear: int = 0
    policies: tuple[str, ...] = ()
    reason: str = ""

    def with_others(self, other: Judgement) -> Judgement:
        """The judgement of both flows together, which are of one account."""
        return Judgement(
            account=self.account,
            inside=self.inside and other.inside,
            stay=self.stay + other.stay,
            refused=self.refused + other.refused,
            unclear=self.unclear + other.unclear,
            policies=tuple(sorted({*self.policies, *other.policies})),
            reason=self.reason or other.reason,
        )


def audit(mesh: Mesh, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[Judgement, ...]:
    """Judge many flows, in their order."""
    return tuple(mesh.query(judge, flow, counts) for flow, counts in flows)


def judge(mesh: Mesh, flow: Flow, counts: Counts) -> Judgement:
    """Judge the reports of one flow, each by the address that was dialled."""
    account = flow.account or account_at(mesh, flow.pod_address)
    addresses = {address for address, _ in counts if address is not None}
    if flow.verdict is Verdict.WOULD_DENY:
        return Judgement(account, inside=True)
    if addresses and all(inside(mesh, address, flow.port) for address in addresses):
        return Judgement(account, inside=True)
    if account is None or flow.verdict is Verdict.DENY:
        return Judgement(account)
    if not mesh.monitored(account.namespace):
        reason = f"namespace {account.namespace} is not part of mesh {mesh.mesh_name}"
        return Judgement(account, refused=sum(count for _, count in counts), reason=reason)
    return _judged(account, mesh.query(closed_outbound, account), flow, counts)


def policies_enabled(mesh: Mesh) -> bool:
    """True if policies have an effect; else passthrough alone lets anything out."""
    return config(mesh).enable_egress_policy


def _judged(account: Account, closed: Outbound, flow: Flow, counts: Counts) -> Judgement:
    stay = refused = unclear = 0
    policies: set[str] = set()
    reasons: list[str] = []
    for address, count in counts:
        attempt = flow.attempt(address)
        decision = decide(closed, attempt)
        unknown = "" if decision.allowed and flow.path else _unknown(closed, flow, address)
        if unknown and not flow.policies:
            unclear += count
            reasons.append(unknown)
        elif decision.allowed or unknown:
            # What a policy let out then, for a path that was not kept, policies alone decide about.
            stay += count
            policies.update(decision.policies)
        else:
            refused += count
            reasons += [one for one in decision.reasons if one not in _LAST][-1:]
    reason = reasons[0] if reasons else ""
    return Judgement(
        account=account,
        stay=stay,
        refused=refused,
        unclear=unclear,
        policies=tuple(sorted(policies)),
        reason=reason,
    )


def _unknown(closed: Outbound, flow: Flow, address: str | None) -> str:
    """What a decision about HTTP depends on that the report does not say; "" if on nothing."""
    host = deciding_host(closed, flow.attempt(address))
    if flow.protocol is not Protocol.HTTP or host is None or host.otherwise is not None:
        return ""
    methods = [
        one.match for one in host.routes if flow.method in (one.match.methods or (flow.method,))
    ]
    if any(match.path == ANY_PATH and not match.headers for match in methods):
        return ""
    names = ", ".join(host.policies)
    if any(match.headers for match in methods):
        return f"policies that name {host.host} decide by headers: {names}"
    if methods and not flow.path:
        return f"policies that name {host.host} decide by path: {names}"
    return ""
