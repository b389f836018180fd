"""Sidecars, the worst first; and one of them: what it is offered, what it holds, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from towpath.cli.entries import Entry, ResourceStatus, entries
from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.page.health import sum_of, worst_first
from towpath.cli.page.view import Part, Query, View, page_number, silence_of
from towpath.model.types import SHORT_NAMES, short_name
from towpath.summary import summarize
from towpath_api.v1 import inspector_pb2 as pb

SIZE = 50
"""Sidecars of one page."""

STATES = {
    "rejecting": (pb.Sidecar.REJECTING,),
    "waiting": (pb.Sidecar.UNANSWERED, pb.Sidecar.POD_UNKNOWN),
    "ok": (pb.Sidecar.ACCEPTED,),
}
"""By the word that a filter has."""

VIEWS = ("offered", "held", "diff")


@dataclass(frozen=True, slots=True)
class TypeSection:
    """The resources of one type, by its short name; the lines say what those offered decide."""

    name: str
    resources: Sequence[Entry]
    lines: Sequence[str]

    @property
    def acknowledged(self) -> int:
        """How many of them the sidecar holds as they are offered."""
        return sum(one.status is ResourceStatus.ACKNOWLEDGED for one in self.resources)


async def sidecars(control_plane: ControlPlane, query: Query) -> View:
    """A page of all sidecars."""
    state = query.get("state", "")
    number = page_number(query)
    request = pb.ListSidecarsRequest(
        contains=query.get("q", ""),
        outcomes=STATES.get(state, ()),
        worst_first=True,
        limit=number * SIZE,
    )
    reading = await control_plane.sidecars(request)
    counts = sum_of(one.counts for one in reading.messages.values())
    by_state = {
        "rejecting": counts.rejecting,
        "waiting": counts.unanswered + counts.pod_unknown,
        "ok": counts.accepted,
    }
    total = by_state.get(state, sum(by_state.values()))
    streams = worst_first(reading)[(number - 1) * SIZE : number * SIZE]
    values = {
        "part": Part(streams, total, number, SIZE),
        "counts": by_state,
        "q": query.get("q", ""),
        "state": state if state in STATES else "",
        "many_replicas": len(reading.messages) > 1,
        "faults": reading.faults,
    }
    return View("Sidecars", "sidecars.html", values, silence=silence_of(reading))


async def sidecar(control_plane: ControlPlane, query: Query) -> View:
    """One sidecar, by its node id: each of its streams."""
    node_id = query.get("id", "")
    chosen = query.get("view", "")
    view = chosen if chosen in VIEWS else VIEWS[0]
    reading = await control_plane.sidecars(pb.ListSidecarsRequest(node_id=node_id))
    resources = await control_plane.resources(node_id)
    streams = [one for one in worst_first(reading) if one[1].node_id == node_id]
    sections = [
        (replica, list(_sections(list(entries(config)), view)))
        for replica, answer in resources.messages.items()
        for config in answer.config
    ]
    values = {"id": node_id, "view": view, "streams": streams, "offers": sections}
    silence = silence_of(reading, resources)
    return View(node_id or "Sidecar", "sidecar.html", values, silence=silence)


def _sections(resources: Sequence[Entry], view: str) -> Iterator[TypeSection]:
    for type_url in SHORT_NAMES:
        of_type = [one for one in resources if one.type_url == type_url]
        if view == "diff":
            of_type = [one for one in of_type if one.differs]
        if view == "held":
            left = ResourceStatus.ACKNOWLEDGED, ResourceStatus.LEFT
            of_type = [one for one in of_type if one.status in left]
        if of_type:
            offered = [one.offered for one in of_type if one.offered is not None]
            lines = summarize(offered).splitlines() if view != "held" else []
            yield TypeSection(short_name(type_url), of_type, lines)
