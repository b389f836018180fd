"""Policies: who has accepted them, what is wrong with them, and what they let out or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from towpath.cli.messages import line_of
from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.page.reports import Items
from towpath.cli.page.view import Query, View, part, silence_of
from towpath.cli.together import policies_together, problems_together
from towpath.model.codes import Severity
from towpath.observe.flow import Verdict
from towpath_api.v1 import inspector_pb2 as pb

SIZE = 50


@dataclass(slots=True)
class Use:
    """How many reports say that a policy let something out, or that it was refused."""

    passed: int = 0
    refused: int = 0


async def policies(control_plane: ControlPlane, query: Query) -> View:
    """A page of all policies, those with something wrong first."""
    reading = await control_plane.policies()
    await control_plane.follow_reports()
    reported = await control_plane.in_thread(control_plane.reports.read)
    kind, text = query.get("kind", ""), query.get("q", "")
    statuses = policies_together(reading.messages.values())
    kinds = sorted({one.kind for one in statuses})
    chosen = [one for one in statuses if kind in ("", one.kind) and text in _name(one)]
    chosen.sort(key=_grade)
    uses = {"Egress": uses_of(reported.flows), "TrafficTarget": uses_of(reported.refusals)}
    page = part(chosen, query, SIZE)
    values = {
        "part": page,
        "kinds": kinds,
        "kind": kind,
        "q": text,
        "use_of": lambda one: uses.get(one.kind, {}).get(_name(one)),
        "observed": bool(reported.streams or reported.flows or reported.refusals),
        "state": state_of,
    }
    return View("Policies", "policies.html", values, silence=silence_of(reading))


async def policy(control_plane: ControlPlane, query: Query) -> View:
    """One policy, with its problems and what it did."""
    key = tuple(query.get(name, "") for name in ("kind", "namespace", "name"))
    reading = await control_plane.policies()
    await control_plane.follow_reports()
    reported = await control_plane.in_thread(control_plane.reports.read)
    statuses = policies_together(reading.messages.values())
    status = next((one for one in statuses if (one.kind, one.namespace, one.name) == key), None)
    name = f"{key[1]}/{key[2]}"
    of_kind = {"Egress": reported.flows, "TrafficTarget": reported.refusals}.get(key[0], ())
    flows = [item for item in of_kind if name in item[0].policies]
    flows.sort(key=lambda item: -item[1].count)
    values = {
        "status": status,
        "kind": key[0],
        "name": name,
        "flows": part(flows, query, SIZE),
        "observed": bool(reported.streams or reported.flows or reported.refusals),
        "state": state_of,
    }
    return View(name, "policy.html", values, silence=silence_of(reading))


async def problems(control_plane: ControlPlane, query: Query) -> View:
    """A page of all problems, the gravest first."""
    reading = await control_plane.problems()
    text, severity = query.get("q", ""), query.get("severity", "")
    listed = problems_together(answer.problems for answer in reading.messages.values())
    order = [*map(str, Severity)]
    listed.sort(key=lambda one: order.index(one.severity) if one.severity in order else 0)
    chosen = [
        one
        for one in listed
        if severity in ("", one.severity) and text.lower() in line_of(one).lower()
    ]
    counts = {name: sum(one.severity == name for one in listed) for name in order}
    values = {
        "part": part(chosen, query, SIZE),
        "counts": counts,
        "q": text,
        "severity": severity if severity in order else "",
    }
    return View("Problems", "problems.html", values, silence=silence_of(reading))


def uses_of(flows: Items) -> dict[str, Use]:
    """What each policy did, by `<namespace>/<name>`."""
    uses: dict[str, Use] = {}
    for flow, tally in flows:
        for name in flow.policies:
            use = uses.setdefault(name, Use())
            if flow.verdict is Verdict.ALLOW:
                use.passed += tally.count
            else:
                use.refused += tally.count
    return uses


def state_of(policy: pb.PolicyStatus) -> tuple[str, str]:
    """In a word, and what that means."""
    if not policy.accepted:
        return "not accepted", "bad"
    if policy.rejecting_sidecars:
        return "rejected", "bad"
    if policy.acknowledged_sidecars < policy.affected_sidecars:
        return "waiting", "pending"
    return ("in conflict", "pending") if policy.in_conflict else ("accepted", "good")


def _name(policy: pb.PolicyStatus) -> str:
    return f"{policy.namespace}/{policy.name}"


def _grade(policy: pb.PolicyStatus) -> tuple[int, Iterable[str]]:
    worst = ("bad", "pending", "good").index(state_of(policy)[1])
    return worst, (policy.kind, policy.namespace, policy.name)
