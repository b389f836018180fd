"""The mesh as a picture: service accounts in the middle, services of the mesh to their left, places
outside to their right; lines for what is allowed, and for what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.page.reports import Items
from towpath.cli.page.view import Part, Query, View, page_number, silence_of
from towpath.observe.flow import Verdict
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
    how many reports there are of what was let out and what was refused.
    """

    account: str
    place: str
    outside: bool
    allowed: bool = False
    policies: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    passed: int = 0
    refused: int = 0
    switch: str = ""
    curve: str = ""
    middle: tuple[float, float] = (0, 0)

    @property
    def look(self) -> str:
        """What it is drawn as."""
        if self.refused and not self.passed:
            return "refused"
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
    drawing = draw(answer, reported.flows)
    values = {
        "part": Part(list(answer.reach), answer.total, number, SIZE),
        "picture": drawing,
        "q": text,
        "permissive": answer.permissive,
        "passthrough": answer.passthrough,
        "observed": bool(reported.streams or reported.flows),
    }
    return View("Map", "map.html", values, silence=silence_of(reading))


def draw(answer: pb.ListReachResponse, flows: Items) -> Picture:
    """The picture of these accounts."""
    edges = _edges(answer, flows)
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


def _edges(answer: pb.ListReachResponse, flows: Items) -> list[Edge]:
    edges: dict[tuple[str, bool, str], Edge] = {}
    for one in answer.reach:
        for outside, places in ((False, one.services), (True, one.outside)):
            for place in places:
                edges[one.service_account, outside, place.name] = Edge(
                    one.service_account,
                    place.name,
                    outside,
                    allowed=True,
                    policies=tuple(place.policies),
                    ports=tuple(place.ports),
                )
        for outside, is_open, name, switch in (
            (False, answer.permissive, EVERY_SERVICE, "permissive mode"),
            (True, answer.passthrough, ANYWHERE, "passthrough"),
        ):
            if is_open and one.pods:
                key = one.service_account, outside, name
                edges[key] = Edge(one.service_account, name, outside, switch=switch)
    names = {one.service_account for one in answer.reach}
    for flow, tally in flows:
        account = flow.source
        if account not in names:
            continue
        key = account, True, flow.target
        edge = edges.setdefault(key, Edge(account, flow.target, outside=True))
        if flow.port not in edge.ports:
            edge.ports = tuple(sorted((*edge.ports, flow.port)))
        if flow.verdict is Verdict.ALLOW:
            edge.passed += tally.count
            edge.policies = tuple(sorted({*edge.policies, *flow.policies}))
            edge.allowed = edge.allowed or not flow.passthrough
            edge.switch = edge.switch or ("passthrough" if flow.passthrough else "")
        else:
            edge.refused += tally.count
    return list(edges.values())


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
    seen = sum(bool(edge.passed or edge.refused) for edge in node.edges)
    switch = any(edge.switch for edge in node.edges)
    return 1_000_000 * switch + 1_000 * seen + len(node.edges)


def _mean(values: Iterable[float] | Iterator[float]) -> float:
    numbers = [*values]
    return sum(numbers) / len(numbers) if numbers else 0.0
