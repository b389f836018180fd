"""Blame: which objects rejected content was made from, as Problems with the client's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.encode.envoy.names import OUTBOUND_LISTENER, egress_port_of, service_of
from towpath.encode.envoy.pointed import pointed_at
from towpath.model.codes import Code
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.model.types import short_name
from towpath.planning.egress.rules import Rule, rules
from towpath.planning.egress.targets import target_name
from towpath.rollout.content import Rejection
from towpath.rollout.quarantine import Quarantine

LONGEST = 500
"""How much of a client's error message is quoted."""
_BEGINNING = 100
"""How much of that is their beginning: the reason stands at their end, behind the resource."""


def rejection_problems(mesh: Mesh, quarantine: Quarantine) -> Iterator[Problem]:
    """What sidecars rejected, by the objects that it was made from."""
    for quarantined in quarantine.quarantined():
        who = f"all sidecars of {quarantined.build} keep"
        yield from _problems(mesh, quarantine, quarantined.rejections, who)
    for client in quarantine.clients():
        for rejection in tuple(client.rejections.values()):
            if not quarantine.refuses(client.build, rejection.resource):
                yield from _problems(mesh, quarantine, (rejection,), "this sidecar keeps")


def _problems(
    mesh: Mesh, quarantine: Quarantine, rejections: tuple[Rejection, ...], who: str
) -> Iterator[Problem]:
    resource = rejections[0].resource
    what = f"{short_name(resource.type_url)} {resource.name!r} version {resource.version}"
    words = "; ".join(f"{one.node_id}: {_told(one.text)}" for one in rejections)
    message = (
        f"rejected {what}: {words}. Until the resource changes, or one accepts it after all, {who} "
        "only those parts of its previous version that are still allowed"
    )
    accounts = {quarantine.account_of(one.node_id) for one in rejections} - {None}
    pointed = frozenset(name for one in rejections for name in pointed_at(one.resource, one.text))
    for ref in sorted(_sources(mesh, resource.name, accounts, pointed)):
        yield Problem(ref, "", Code.REJECTED_BY_SIDECAR, message)


def _told(text: str) -> str:
    """A client's words, without their middle if they are long."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:_BEGINNING]} … {text[_BEGINNING - LONGEST :]}"


def _sources(
    mesh: Mesh, name: str, accounts: Iterable[Account | None], pointed: frozenset[str]
) -> set[ObjectRef]:
    """The objects that a resource of that name is made from, for sidecars of these accounts; of
    policies only those that the client's words point at, if they do.
    """
    if service := service_of(name):
        return {ObjectRef(Kind.SERVICE, *service)}
    port = egress_port_of(name)
    named = [account for account in accounts if account is not None]
    policies = {
        rule.policy
        for account in named
        for rule in mesh.query(rules, account)
        if rule.port == port or name in (OUTBOUND_LISTENER, *_clusters(rule))
    }
    if policies:
        blamed = policies & pointed or policies
        return {ObjectRef(Kind.EGRESS, *policy.split("/", 1)) for policy in blamed}
    return {ObjectRef(Kind.SERVICE_ACCOUNT, a.namespace, a.name) for a in named}


def _clusters(rule: Rule) -> Iterator[str]:
    """The names of the clusters that a rule leads to."""
    for pattern in (None,) if rule.hosts is None else rule.hosts:
        yield target_name(rule, pattern)
