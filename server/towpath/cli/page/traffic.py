"""Who talks to what outside: what sidecars report, what would be refused without passthrough, and
the policies that would allow it.
"""

from __future__ import annotations

import click

from towpath.answers.proposal import propose
from towpath.answers.proposal_yaml import manifests
from towpath.cli.judged import Audit
from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.page.reports import Reported
from towpath.cli.page.view import Query, View, part
from towpath.observe.flow import Flow, Verdict

SIZE = 50
MOST_JUDGED = 5_000
"""Flows that are judged for one page, those with most reports first."""

JUDGED_FRESH_S = 10.0

VERDICTS = {"allow": "let out", "deny": "refused", "passthrough": "by passthrough"}


async def traffic(control_plane: ControlPlane, query: Query) -> View:
    """A page of all flows, the latest first."""
    reported = await _reported(control_plane)
    text, verdict = query.get("q", ""), query.get("verdict", "")
    chosen = [item for item in reported.flows if _is(item[0], verdict) and _contains(item[0], text)]
    chosen.sort(key=lambda item: -item[1].last)
    values = {
        "part": part(chosen, query, SIZE),
        "counts": {name: sum(_is(flow, name) for flow, _ in reported.flows) for name in VERDICTS},
        "verdicts": VERDICTS,
        "verdict": verdict if verdict in VERDICTS else "",
        "q": text,
        **await _observed(control_plane, reported),
    }
    return View("Traffic", "traffic.html", values)


async def inside(control_plane: ControlPlane, query: Query) -> View:
    """A page of what was refused inside the mesh, or would be without permissive mode."""
    reported = await _reported(control_plane)
    text = query.get("q", "")
    chosen = [item for item in reported.refusals if _contains(item[0], text)]
    chosen.sort(key=lambda item: -item[1].last)
    values = {
        "part": part(chosen, query, SIZE),
        "q": text,
        **await _observed(control_plane, reported),
    }
    return View("Inside", "inside.html", values)


async def audit(control_plane: ControlPlane, query: Query) -> View:
    """What would be refused if egress passthrough were switched off now."""
    reported = await _reported(control_plane)
    result, fault = await _judged(control_plane, reported)
    text = query.get("q", "")
    refused = [item for item in result.refused if _contains(item[0], text)] if result else []
    values = {
        "part": part(refused, query, SIZE),
        "audit": result,
        "stay": sum(1 for *_, one in result.items if not (one.refused or one.unclear))
        if result
        else 0,
        "accounts": len({one.account for *_, one in result.refused}) if result else 0,
        "fault": fault,
        "q": text,
        "left": max(len(reported.flows) - MOST_JUDGED, 0),
        **await _observed(control_plane, reported),
    }
    return View("Audit", "audit.html", values)


async def suggest(control_plane: ControlPlane, query: Query) -> View:
    """The smallest policies that would allow what the audit lists."""
    reported = await _reported(control_plane)
    result, fault = await _judged(control_plane, reported)
    wildcards = query.get("wildcards", "") == "1"
    text, policies, left = "", 0, 0
    if result is not None:
        needs = [(flow, tally.counts) for flow, tally, one in result.refused if one.refused]
        proposals = await control_plane.in_thread(lambda: propose(needs, wildcards=wildcards))
        text, policies = manifests(proposals.proposals), len(proposals.proposals)
        left = len(proposals.left)
    values = {
        "yaml": text,
        "policies": policies,
        "left": left,
        "audit": result,
        "fault": fault,
        "wildcards": wildcards,
        **await _observed(control_plane, reported),
    }
    return View("Suggestions", "suggest.html", values)


async def _reported(control_plane: ControlPlane) -> Reported:
    await control_plane.follow_reports()
    return await control_plane.in_thread(control_plane.reports.read)


async def _observed(control_plane: ControlPlane, reported: Reported) -> dict[str, object]:
    """What is to be said of reports that are not there."""
    overview = (await control_plane.overview()).one
    return {
        "reported": reported,
        "observe": overview.observe_egress if overview else "",
        "osm_namespace": overview.osm_namespace if overview else "",
        "passthrough": bool(overview and overview.passthrough),
    }


async def _judged(control_plane: ControlPlane, reported: Reported) -> tuple[Audit | None, str]:
    """The audit of what is reported, and why there is none."""

    async def judge() -> tuple[Audit | None, str]:
        flows = reported.flows
        if len(flows) > MOST_JUDGED:
            flows = tuple(sorted(flows, key=lambda item: -item[1].count)[:MOST_JUDGED])
        try:
            return await control_plane.audit(flows), ""
        except click.ClickException as error:
            return None, error.format_message()

    return await control_plane.shared("audit", judge, JUDGED_FRESH_S)


def _is(flow: Flow, verdict: str) -> bool:
    match verdict:
        case "allow":
            return flow.verdict is Verdict.ALLOW
        case "deny":
            return flow.verdict is Verdict.DENY
        case "passthrough":
            return flow.passthrough
    return True


def _contains(flow: Flow, text: str) -> bool:
    if not text:
        return True
    return any(text in part for part in (flow.source, flow.target, *flow.policies))
