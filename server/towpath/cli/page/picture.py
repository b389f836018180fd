"""The mesh as a picture: service accounts in the middle, services of the mesh to their left, places
outside to their right; lines for what is allowed, and for what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.page.reports import Items
from towpath.cli.page.view import Part, Query, View, page_number, silence_of
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb

SIZE = 15
"""Service accounts of one picture."""

MOST_PLACES = 40
"""Services, and places outside, of one picture: those that most lines lead to."""

ROW, TOP, NODE_HEIGHT = 46, 64, 34
WIDTHS = (230, 230, 250)
LEFTS = (18, 399, 790)
PICTURE_WIDTH = 1058
LONGEST_LABEL = 27

EVERY_SERVICE = "every service"
ANYWHERE = "anywhere"


@dataclass(slots=True)
class Edge:
    """A line from an account to a place: whether policies or a switch allow it, which policies, and
    how many reports there are of what was let out, what was refused, and what would be refused
    `without` a switch.
    """

    account: str
    place: str
    outside: bool
    allowed: bool = False
    policies: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    passed: int = 0
    refused: int = 0
    without: int = 0
    switch: str = ""
    curve: str = ""
    middle: tuple[float, float] = (0, 0)

    @property
    def look(self) -> str:
        """What it is drawn as."""
        if self.refused and not self.passed:
            return "refused"
        if self.without:
            return "through"
        if self.passed:
            return "passed" if self.allowed else "through"
        return "switch" if self.switch else "allowed"

    @property
    def words(self) -> str:
        """The same as a sentence, for those who do not see the line."""
        parts = []
        if self.policies:
            parts.append(f"allowed by {', '.join(self.policies)}")
        elif self.switch:
            parts.append(f"open by {self.switch}")
        elif self.allowed:
            parts.append("allowed")
        if self.passed:
            parts.append(f"{self.passed:,} let out")
        if self.without:
            parts.append(f"{self.without:,} would be refused without permissive mode")
        if self.refused:
            parts.append(f"{self.refused:,} refused")
        return "; ".join(parts) or "not allowed"


@dataclass(slots=True)
class Node:
    """A box of the picture; *kind* is account, service, or outside."""

    name: str
    kind: str
    detail: str = ""
    x: float = 0
    y: float = 0
    width: float = 0
    edges: list[Edge] = field(default_factory=list)

    @property
    def label(self) -> str:
        """As much of the name as there is room for: its beginning and its end."""
        if len(self.name) <= LONGEST_LABEL:
            return self.name
        return f"{self.name[:12]}…{self.name[-14:]}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes by column, lines between them, and how large all of it is."""

    columns: tuple[list[Node], list[Node], list[Node]]
    edges: list[Edge]
    height: float
    omitted: int = 0
    width: float = PICTURE_WIDTH


async def picture(control_plane: ControlPlane, query: Query) -> View:
    """A page of service accounts, and what they may reach and have reached."""
    number = page_number(query)
    text = query.get("q", "")
    request = pb.ListReachRequest(contains=text, offset=(number - 1) * SIZE, limit=SIZE)
    reading = await control_plane.reach(request)
    await control_plane.follow_reports()
    reported = await control_plane.in_thread(control_plane.reports.read)
    answer = reading.one or pb.ListReachResponse()
    drawing = draw(answer, reported.flows, reported.refusals)
    values = {
        "part": Part(list(answer.reach), answer.total, number, SIZE),
        "picture": drawing,
        "q": text,
        "permissive": answer.permissive,
        "passthrough": answer.passthrough,
        "observed": bool(reported.streams or reported.flows or reported.refusals),
    }
    return View("Map", "map.html", values, silence=silence_of(reading))


def draw(answer: pb.ListReachResponse, flows: Items, refusals: Items = ()) -> Picture:
    """The picture of these accounts; *refusals* are of what they asked of others in the mesh."""
    edges = _edges(answer, flows, refusals)
    accounts = {
        one.service_account: Node(one.service_account, "account", _pods(one))
        for one in answer.reach
    }
    places: dict[tuple[bool, str], Node] = {}
    for edge in edges:
        kind = "outside" if edge.outside else "service"
        node = places.setdefault((edge.outside, edge.place), Node(edge.place, kind))
        node.edges.append(edge)
    kept = dict(places)
    omitted = 0
    for outside in (False, True):
        names = [key for key in places if key[0] == outside]
        names.sort(key=lambda key: (-_weight(places[key]), key))
        for key in names[MOST_PLACES:]:
            del kept[key]
            omitted += 1
    edges = [edge for edge in edges if (edge.outside, edge.place) in kept]
    for edge in edges:
        accounts[edge.account].edges.append(edge)
    columns = (
        [node for (outside, _), node in kept.items() if not outside],
        list(accounts.values()),
        [node for (outside, _), node in kept.items() if outside],
    )
    _place(columns, accounts)
    for edge in edges:
        _bend(edge, accounts[edge.account], kept[edge.outside, edge.place])
    rows = max((len(column) for column in columns), default=1)
    return Picture(columns, edges, TOP + max(rows, 1) * ROW + 8, omitted)


Edges = dict[tuple[str, bool, str], Edge]
"""By the account, whether the place is outside, and its name."""


def _edges(answer: pb.ListReachResponse, flows: Items, refusals: Items) -> list[Edge]:
    edges: Edges = {}
    for one in answer.reach:
        for edge in (*_opened(one), *_switched(one, answer)):
            edges[edge.account, edge.outside, edge.place] = edge
    offers = {one.service_account: one.offers for one in answer.reach}
    for flow, tally in flows:
        if flow.source in offers:
            key = flow.source, True, flow.target
            _add_flow(
                edges.setdefault(key, Edge(flow.source, flow.target, outside=True)), flow, tally
            )
    for flow, tally in refusals:
        if flow.source in offers:
            # A pod refuses, whose account stands behind these services; else it is named itself.
            for service in offers.get(flow.host) or (flow.target,):
                key = flow.source, False, service
                edge = edges.setdefault(key, Edge(flow.source, service, outside=False))
                if flow.verdict is Verdict.DENY:
                    edge.refused += tally.count
                else:
                    edge.without += tally.count
    return list(edges.values())


def _opened(reach: pb.AccountReach) -> Iterator[Edge]:
    """What policies open to an account."""
    for outside, places in ((False, reach.services), (True, reach.outside)):
        for place in places:
            yield Edge(
                reach.service_account,
                place.name,
                outside,
                allowed=True,
                policies=tuple(place.policies),
                ports=tuple(place.ports),
            )


def _switched(reach: pb.AccountReach, answer: pb.ListReachResponse) -> Iterator[Edge]:
    """What switches open to it, if any pod runs as it."""
    if answer.permissive and reach.pods:
        yield Edge(reach.service_account, EVERY_SERVICE, outside=False, switch="permissive mode")
    if answer.passthrough and reach.pods:
        yield Edge(reach.service_account, ANYWHERE, outside=True, switch="passthrough")


def _add_flow(edge: Edge, flow: Flow, tally: Tally) -> None:
    """Count what was seen."""
    if flow.port not in edge.ports:
        edge.ports = tuple(sorted((*edge.ports, flow.port)))
    if flow.verdict is Verdict.ALLOW:
        edge.passed += tally.count
        edge.policies = tuple(sorted({*edge.policies, *flow.policies}))
        edge.allowed = edge.allowed or not flow.passthrough
        edge.switch = edge.switch or ("passthrough" if flow.passthrough else "")
    else:
        edge.refused += tally.count


def _place(
    columns: tuple[list[Node], list[Node], list[Node]], accounts: Mapping[str, Node]
) -> None:
    """Give each box its place: the accounts in their order, the others where their lines end."""
    services, middle, outside = columns
    rows = max(len(column) for column in columns)
    _stack(middle, 1, rows)
    for column, boxes in ((0, services), (2, outside)):
        boxes.sort(key=lambda node: (_mean(accounts[e.account].y for e in node.edges), node.name))
        _stack(boxes, column, rows)


def _stack(boxes: list[Node], column: int, rows: int) -> None:
    """One below the other, in the middle of so many rows."""
    begin = TOP + (rows - len(boxes)) * ROW / 2
    for number, node in enumerate(boxes):
        node.x, node.width = LEFTS[column], WIDTHS[column]
        node.y = begin + number * ROW


def _bend(edge: Edge, account: Node, place: Node) -> None:
    """The curve from one box to the other."""
    y1, y2 = account.y + NODE_HEIGHT / 2, place.y + NODE_HEIGHT / 2
    if edge.outside:
        x1, x2 = account.x + account.width, place.x
    else:
        x1, x2 = account.x, place.x + place.width
    reach = (x2 - x1) / 2
    edge.curve = f"M{x1:g} {y1:g}C{x1 + reach:g} {y1:g} {x2 - reach:g} {y2:g} {x2:g} {y2:g}"
    edge.middle = (x1 + x2) / 2, (y1 + y2) / 2


def _pods(reach: pb.AccountReach) -> str:
    return f"{reach.pods} pod{'' if reach.pods == 1 else 's'}"


def _weight(node: Node) -> int:
    """What is open to all, and what was seen, comes first."""
    seen = sum(bool(edge.passed or edge.refused or edge.without) for edge in node.edges)
    switch = any(edge.switch for edge in node.edges)
    return 1_000_000 * switch + 1_000 * seen + len(node.edges)


def _mean(values: Iterable[float] | Iterator[float]) -> float:
    numbers = [*values]
    return sum(numbers) / len(numbers) if numbers else 0.0
