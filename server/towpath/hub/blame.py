"""Blame: which objects rejected content was made from, as Problems with the client's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from towpath.encode.envoy.names import OUTBOUND_LISTENER
from towpath.hub.quarantine import Quarantine
from towpath.hub.standing import Rejection
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef
from towpath.model.problem import Problem, Reason
from towpath.model.types import short_name
from towpath.planning.egress.rules import rules

LONGEST = 500
"""How much of a client's words is told."""

_SERVICE = re.compile(
    r"(?:rds-outbound\.)?(?P<namespace>[^./|]+)/(?P<name>[^/|]+)\|\d+(?:\|local)?"
)
_EGRESS = re.compile(r"(?:rds-egress\.(?P<routes>\d+)|.*:(?P<cluster>\d+))(?:\|.*)?")


def rejection_problems(mesh: Mesh, quarantine: Quarantine) -> Iterator[Problem]:
    """What sidecars rejected, by the objects that it was made from."""
    for verdict in quarantine.verdicts():
        who = f"no {verdict.flavour} is sent it"
        yield from _problems(mesh, quarantine, verdict.rejections, who)
    for standing in quarantine.standings():
        for rejection in tuple(standing.rejections.values()):
            if not quarantine.refuses(standing.flavour, rejection.resource):
                yield from _problems(mesh, quarantine, (rejection,), "it alone is not sent it")


def _problems(
    mesh: Mesh, quarantine: Quarantine, rejections: tuple[Rejection, ...], who: str
) -> Iterator[Problem]:
    resource = rejections[0].resource
    what = f"{short_name(resource.type_url)} {resource.name!r} version {resource.version}"
    said = "; ".join(f"{one.node_id}: {one.text[:LONGEST]}" for one in rejections)
    message = f"rejected {what}: {said}. Until it changes {who}, but what it allowed before too"
    accounts = {quarantine.account_of(one.node_id) for one in rejections} - {None}
    for ref in sorted(_sources(mesh, resource.name, accounts)):
        yield Problem(ref, "", Reason.REJECTED, message)


def _sources(mesh: Mesh, name: str, accounts: Iterable[Account | None]) -> set[ObjectRef]:
    """The objects that a resource of that name is made from, for sidecars of these accounts."""
    if match := _SERVICE.fullmatch(name):
        return {ObjectRef(Kind.SERVICE, match["namespace"], match["name"])}
    match = _EGRESS.fullmatch(name)
    port = int(match["routes"] or match["cluster"]) if match else None
    known = [account for account in accounts if account is not None]
    policies = {
        rule.policy
        for account in known
        for rule in mesh.ask(rules, account)
        if rule.port == port or name == OUTBOUND_LISTENER
    }
    if policies:
        return {ObjectRef(Kind.EGRESS, *policy.split("/", 1)) for policy in policies}
    return {ObjectRef(Kind.SERVICE_ACCOUNT, a.namespace, a.name) for a in known}
