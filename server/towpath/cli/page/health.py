"""How a control plane stands, in one line, and what is wrong first of all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from towpath.cli.listing import age
from towpath.cli.page.control_plane import ControlPlane, Reading
from towpath.cli.page.view import Query, View, silence_of
from towpath.cli.together import problems_together, sidecars_together
from towpath.model.codes import Severity
from towpath_api.v1 import inspector_pb2 as pb

GOOD, PENDING, BAD, NEUTRAL = "good", "pending", "bad", ""
EXPIRES_SOON_S = 14 * 86_400
STALE_S = 30.0
WORST = 6
"""How many of what is wrong are shown on the first page."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing of the health line: what it is about, how it stands, and what that means."""

    name: str
    text: str
    meaning: str = NEUTRAL
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The health line, and why no replica answers ("": one does)."""

    chips: tuple[Chip, ...]
    fault: str
    mesh: str
    last: float


async def health(control_plane: ControlPlane) -> Health:
    """How the control plane stands now, or stood when it last said so."""
    reading = await control_plane.overview()
    one = reading.one
    chips = () if one is None else tuple(_chips(reading, one, control_plane.now()))
    return Health(chips, reading.fault, one.mesh_name if one else "", reading.at)


async def overview(control_plane: ControlPlane, _: Query) -> View:
    """The first page."""
    ask = pb.ListSidecarsRequest(
        outcomes=[pb.Sidecar.REJECTING, pb.Sidecar.POD_UNKNOWN, pb.Sidecar.UNANSWERED],
        worst_first=True,
        limit=WORST,
    )
    overview, sidecars, problems = await asyncio.gather(
        control_plane.overview(), control_plane.sidecars(ask), control_plane.problems()
    )
    wrong = problems_together(answer.problems for answer in problems.messages.values())
    wrong.sort(key=lambda problem: _rank(problem.severity))
    severities = {severity: sum(one.severity == severity for one in wrong) for severity in Severity}
    values = {
        "replicas": overview.messages,
        "faults": overview.faults,
        "one": overview.one,
        "counts": counts_of(overview),
        "worst": worst_first(sidecars)[:WORST],
        "problems": [one for one in wrong if one.severity != Severity.INFO][:WORST],
        "severities": severities,
    }
    silence = silence_of(overview, sidecars, problems)
    return View("Overview", "overview.html", values, silence=silence)


def counts_of(reading: Reading[pb.GetOverviewResponse]) -> pb.SidecarCounts:
    """How the sidecars of all replicas stand."""
    return sum_of(one.sidecars for one in reading.messages.values())


def sum_of(counts: Iterator[pb.SidecarCounts]) -> pb.SidecarCounts:
    """All of them in one."""
    total = pb.SidecarCounts()
    for one in counts:
        total.accepted += one.accepted
        total.unanswered += one.unanswered
        total.rejecting += one.rejecting
        total.pod_unknown += one.pod_unknown
    return total


_ORDER = (
    pb.Sidecar.REJECTING,
    pb.Sidecar.POD_UNKNOWN,
    pb.Sidecar.UNANSWERED,
    pb.Sidecar.ACCEPTED,
    pb.Sidecar.OUTCOME_UNSPECIFIED,
)


def worst_first(reading: Reading[pb.ListSidecarsResponse]) -> list[tuple[str, pb.Sidecar]]:
    """The streams of all replicas with the names of these, in the order that each has them in."""
    streams = sidecars_together(reading.messages)
    return sorted(streams, key=lambda stream: _ORDER.index(stream[1].outcome))


def _chips(
    reading: Reading[pb.GetOverviewResponse], one: pb.GetOverviewResponse, now: float
) -> Iterator[Chip]:
    replicas, faults = reading.messages, reading.faults
    total = len(replicas) + len(faults)
    text = f"{total}" if not faults else f"{len(replicas)} of {total} answer"
    hint = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
    yield Chip("Replicas", text, BAD if faults else GOOD, hint or ", ".join(replicas))
    yield from _sidecars(counts_of(reading))
    switches = [(o.passthrough, o.egress_policies) for o in replicas.values()]
    hint = "" if len(set(switches)) == 1 else "replicas differ: one has not seen a change yet"
    yield Chip("Passthrough", _on(one.passthrough), PENDING if one.passthrough else GOOD, hint)
    yield Chip("Policies", _on(one.egress_policies), GOOD if one.egress_policies else NEUTRAL, hint)
    yield Chip("mTLS", one.mtls or "none", GOOD if one.mtls == "strict" else NEUTRAL)
    stale = max(answer.stale_seconds for answer in replicas.values())
    if not all(answer.ready for answer in replicas.values()):
        yield Chip("Source", "being read", PENDING)
    else:
        late = PENDING if stale else GOOD
        text = f"stale for {age(stale)}" if stale else "current"
        yield Chip("Source", text, BAD if stale > STALE_S else late)
    yield from _certificates(reading.messages, now)


def _sidecars(counts: pb.SidecarCounts) -> Iterator[Chip]:
    waiting = counts.unanswered + counts.pod_unknown
    parts = [f"{counts.accepted:,} ok"]
    meaning = GOOD
    if waiting:
        parts.append(f"{waiting:,} waiting")
        meaning = PENDING
    if counts.rejecting:
        parts.append(f"{counts.rejecting:,} rejecting")
        meaning = BAD
    yield Chip("Sidecars", " · ".join(parts), meaning)


def _certificates(replicas: Mapping[str, pb.GetOverviewResponse], now: float) -> Iterator[Chip]:
    for name, expiries in (
        ("Server certificate", [o.certificate_expires_at for o in replicas.values()]),
        ("Authority", [o.authority_expires_at for o in replicas.values()]),
        ("Sidecar certificates", [o.leaf_expires_at for o in replicas.values()]),
    ):
        times = [stamp.seconds for stamp in expiries if stamp.seconds]
        if times:
            first = min(times)
            left = first - now
            soon = left < EXPIRES_SOON_S and name != "Sidecar certificates"
            meaning = BAD if left <= 0 else PENDING if soon else GOOD
            until = f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M} UTC"
            yield Chip(name, age(left) if left > 0 else "expired", meaning, f"until {until}")


def _rank(severity: str) -> int:
    return Severity(severity).rank if severity in tuple(Severity) else 0


def _on(switch: bool) -> str:  # noqa: FBT001 (it is what is written)
    return "on" if switch else "off"
