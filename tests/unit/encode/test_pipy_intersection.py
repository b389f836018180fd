"""What stands in for a configuration that a Pipy rejected: never more than it would let through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.examples import examples
from support.pipy_scripts import lets_out
from towpath.encode import pipy
from towpath.encode.pack import unpack
from towpath.model.egress import RequestMatch
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Protocol
from towpath.model.plan import Destinations, Inbound, InboundPort, Outbound
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, SIDECAR
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule
from towpath_api.v1.pipy import is_closed, to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig

NOBODY = Inbound(())


def config(*held: Rule, passthrough: bool = False, let_in: Inbound = NOBODY) -> Resource:
    plan = Outbound(Destinations(), passthrough, egress=egress_plan(held, passthrough=passthrough))
    return pipy.config(
        "curl.curl",
        pipy.spec(MeshConfig(), passthrough=passthrough),
        pipy.inbound(let_in),
        pipy.outbound(plan, {}),
        pipy.access_and_chains(let_in),
    )


def read(resource: Resource | None) -> SidecarConfig:
    assert resource is not None
    message = SidecarConfig()
    assert unpack(resource).Unpack(message)
    return message


def script(resource: Resource | None) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(to_json(read(resource)))
    return content


def http(*hosts: str, path: str = ".*", port: int = 80) -> Rule:
    matches = (RequestMatch(path),)
    return Rule("p/one", port, Protocol.HTTP, hosts, None, matches, None)


def tcp(*ranges: str, port: int = 80) -> Rule:
    return Rule("p/two", port, Protocol.TCP, None, ranges or None, None, None)


@settings(max_examples=examples(100))
@given(
    held=st.lists(rules(), max_size=5),
    new=st.lists(rules(), max_size=5),
    through=st.tuples(st.booleans(), st.booleans()),
    tried=st.lists(attempts, min_size=5),
)
def test_it_never_lets_out_what_the_new_one_does_not(
    held: list[Rule], new: list[Rule], through: tuple[bool, bool], tried: list[Any]
) -> None:
    before = config(*held, passthrough=through[0])
    after = config(*new, passthrough=through[1])
    met, wanted = script(pipy.intersection(before, after)), script(after)
    for attempt in tried:
        target = lets_out(met, attempt)
        assert target in (None, lets_out(wanted, attempt)), attempt


@settings(max_examples=examples(100))
@given(
    held=st.lists(rules(), max_size=5),
    new=st.lists(rules(), max_size=5),
    through=st.tuples(st.booleans(), st.booleans()),
)
def test_it_has_all_of_itself_in_common_with_the_new_one(
    held: list[Rule], new: list[Rule], through: tuple[bool, bool]
) -> None:
    before = config(*held, passthrough=through[0])
    after = config(*new, passthrough=through[1])
    between = pipy.intersection(before, after)

    assert between is None or between == pipy.intersection(between, after)


@pytest.mark.parametrize(
    "wider",
    [
        (http("a.test", "b.test"),),
        (http("a.test"), http("b.test", port=81)),
        (http("a.test"), tcp("10.0.0.0/8", port=5432)),
    ],
)
def test_where_only_something_is_added_it_is_what_the_sidecar_holds(
    wider: tuple[Rule, ...],
) -> None:
    held = config(http("a.test"))

    assert held is pipy.intersection(held, config(*wider))


def test_what_is_taken_away_is_gone_and_what_stays_is_left() -> None:
    held = config(http("a.test", "b.test"), tcp("10.0.0.0/8", port=5432), passthrough=True)
    met = script(pipy.intersection(held, config(http("a.test"))))
    (match,) = met["Outbound"]["TrafficMatches"]["80"]

    assert ["80"] == [*met["Outbound"]["TrafficMatches"]]
    assert ["a.test"] == [*match["HttpServiceRouteRules"]]
    assert not met["Spec"]["Traffic"]["EnableEgress"]


def test_an_inbound_port_that_is_new_or_differs_is_closed() -> None:
    def ports(*numbers: int, protocol: Protocol = Protocol.TCP) -> Inbound:
        return Inbound(tuple(InboundPort(number, protocol, ("a/b",)) for number in numbers))

    held = config(let_in=ports(80, 81))
    met = read(pipy.intersection(held, config(let_in=ports(81, 82))))

    assert [81] == [*met.inbound.traffic_matches]
    closed = read(pipy.intersection(held, config(let_in=ports(80, 81, protocol=Protocol.HTTP))))
    assert is_closed(closed)


def test_the_closed_one_lets_nothing_through_and_is_for_sidecars_alone() -> None:
    closed = pipy.closed(SIDECAR, "curl.curl")

    assert is_closed(read(closed))
    assert {"inbound-tcp", "inbound-http", "outbound-tcp", "outbound-http"} == {
        *script(closed)["Chains"]
    }
    assert pipy.closed(CLUSTER, "curl.curl") is None


@pytest.mark.parametrize(
    "open_one",
    [config(http("a.test")), config(passthrough=True)],
)
def test_what_lets_something_through_is_not_taken_for_closed(open_one: Resource) -> None:
    assert not is_closed(read(open_one))
