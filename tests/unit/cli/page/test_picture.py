"""The picture of a mesh: what is drawn, and where."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.cli.page.picture import EVERY_SERVICE, MOST_PLACES, Picture, draw
from towpath.cli.page.reports import Items
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb

CURL = Account("curl", "curl")


def place(name: str, *policies: str) -> pb.ReachedPlace:
    return pb.ReachedPlace(name=name, ports=[443], policies=policies)


def reach(
    account: str = "curl/curl",
    *,
    services: Sequence[pb.ReachedPlace] = (),
    outside: Sequence[pb.ReachedPlace] = (),
) -> pb.AccountReach:
    return pb.AccountReach(service_account=account, pods=1, services=services, outside=outside)


def seen(host: str, count: int, verdict: Verdict, *, passthrough: bool = False) -> Items:
    flow = Flow(CURL, "", host, "", 443, Protocol.HTTPS, verdict, passthrough=passthrough)
    return ((flow, Tally(0.0, 0.0, count)),)


def looks(picture: Picture) -> dict[str, str]:
    return {edge.place: edge.look for edge in picture.edges}


def test_lines_show_what_is_allowed_and_what_was_seen() -> None:
    answer = pb.ListReachResponse(reach=[reach(outside=[place("a", "p/q"), place("b", "p/q")])])
    flows = (
        *seen("a", 3, Verdict.ALLOW),
        *seen("c", 1, Verdict.DENY),
        *seen("d", 2, Verdict.ALLOW, passthrough=True),
    )

    assert {"a": "passed", "b": "allowed", "c": "refused", "d": "through"} == looks(
        draw(answer, flows)
    )


def refused(by: str, verdict: Verdict) -> Items:
    flow = Flow(CURL, "", by, "", 8080, Protocol.HTTP, verdict)
    return ((flow, Tally(0.0, 0.0, 4)),)


def test_refusals_inside_lead_to_the_services_of_the_pod_that_refused() -> None:
    web = pb.AccountReach(service_account="shop/web", pods=1, offers=["shop/www"])
    answer = pb.ListReachResponse(reach=[reach(), web])
    refusals = (*refused("shop/web", Verdict.DENY), *refused("bank/db", Verdict.WOULD_DENY))
    picture = draw(answer, (), refusals)

    assert {"shop/www": "refused", "bank/db": "through"} == looks(picture)
    assert {"4 refused", "4 would be refused without permissive mode"} == {
        edge.words for edge in picture.edges
    }


def test_what_others_did_is_not_drawn() -> None:
    answer = pb.ListReachResponse(reach=[reach("shop/web")])

    assert [] == draw(answer, seen("a", 3, Verdict.ALLOW)).edges


def test_in_permissive_mode_there_is_one_line_for_every_service() -> None:
    answer = pb.ListReachResponse(reach=[reach(), reach("shop/web")], permissive=True)
    picture = draw(answer, ())

    assert [EVERY_SERVICE] == [node.name for node in picture.columns[0]]
    assert {"switch"} == {edge.look for edge in picture.edges}


def test_of_a_thousand_places_those_with_most_lines_are_drawn() -> None:
    services = [place(f"shop/s{number:04}", "p/q") for number in range(1_000)]
    outside = [place(f"h{number:04}.example", "p/q") for number in range(1_000)]
    answer = pb.ListReachResponse(reach=[reach(services=services, outside=outside)])
    picture = draw(answer, seen("h0999.example", 1, Verdict.ALLOW))

    assert (MOST_PLACES, MOST_PLACES) == (len(picture.columns[0]), len(picture.columns[2]))
    assert 2_000 - 2 * MOST_PLACES == picture.omitted
    assert "h0999.example" in {node.name for node in picture.columns[2]}


def test_no_two_boxes_are_at_one_place() -> None:
    services = [place(f"shop/s{number}") for number in range(9)]
    accounts = [reach(f"shop/a{number}", services=services[: number + 1]) for number in range(5)]
    picture = draw(pb.ListReachResponse(reach=accounts), ())
    boxes = [(node.x, node.y) for column in picture.columns for node in column]

    assert len(boxes) == len(set(boxes))
    assert all(0 <= y < picture.height for _, y in boxes)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    answer = pb.ListReachResponse(reach=[reach(outside=[place("a" * 60 + ".example.org")])])
    (node,) = draw(answer, ()).columns[2]

    assert ("aaaa", "example.org") == (node.label[:4], node.label[-11:])
    assert len(node.label) < 30
