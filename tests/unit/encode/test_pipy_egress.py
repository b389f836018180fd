"""Pipy's scripts never let out what the plan does not, and every shortfall is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.examples import examples
from support.pipy_scripts import lets_out
from towpath.encode import pipy
from towpath.model.codes import Reason
from towpath.model.egress import RequestMatch
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Destinations, Endpoint, Outbound
from towpath.planning.egress.decide import Attempt, decide
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule
from towpath_api.v1.pipy import to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig


def plan_of(*held: Rule, passthrough: bool = False) -> Outbound:
    found = egress_plan(held, passthrough=passthrough)
    return Outbound(Destinations(), passthrough, egress=found)


def config_of(plan: Outbound) -> dict[str, Any]:
    spec = pipy.spec(MeshConfig(), passthrough=plan.passthrough)
    message = SidecarConfig.FromString(spec + pipy.outbound(plan, {}))
    config: dict[str, Any] = json.loads(to_json(message))
    return config


def rule(protocol: Protocol, *, port: int = 80, **fields: Any) -> Rule:
    chosen: dict[str, Any] = {"hosts": None, "ranges": None, "matches": None, "setting": None}
    return Rule(policy="p/one", port=port, protocol=protocol, **{**chosen, **fields})


def get(path: str = "/", *, host: str = "a.test", **fields: Any) -> Attempt:
    return Attempt(None, 80, Protocol.HTTP, host, path=path, **fields)


@settings(max_examples=examples(100))
@given(held=st.lists(rules(), max_size=6), tried=st.lists(attempts, min_size=5))
def test_nothing_is_let_out_that_the_plan_refuses(held: list[Rule], tried: list[Attempt]) -> None:
    plan = plan_of(*held)
    config = config_of(plan)
    for attempt in tried:
        if lets_out(config, attempt) is not None:
            assert decide(plan, attempt).allowed, attempt


@settings(max_examples=examples(100))
@given(
    held=st.lists(rules(), max_size=6), tried=st.lists(attempts, min_size=5), through=st.booleans()
)
def test_where_it_differs_from_the_plan_a_problem_says_so(
    held: list[Rule], tried: list[Attempt], *, through: bool
) -> None:
    plan = plan_of(*held, passthrough=through)
    config = config_of(plan)
    differs = any(
        (lets_out(config, attempt) is not None) is not decide(plan, attempt).allowed
        for attempt in tried
    )
    problems = pipy.withheld(plan)

    assert {Reason.NOT_ENFORCEABLE} >= {problem.reason for problem in problems}
    assert all("pipy sidecars " in problem.message for problem in problems)
    assert problems or not differs


@settings(max_examples=examples(100))
@given(held=st.lists(rules(), max_size=5), tried=st.lists(attempts, min_size=5))
def test_an_allowed_host_leads_to_that_host(held: list[Rule], tried: list[Attempt]) -> None:
    config = config_of(plan_of(*held))
    for attempt in tried:
        target = lets_out(config, attempt)

        assert target in (None, "original", f"{attempt.host}:{attempt.port}")


def test_a_path_is_matched_from_its_beginning_to_its_end() -> None:
    config = config_of(
        plan_of(rule(Protocol.HTTP, hosts=("a.test",), matches=(RequestMatch("/get"),)))
    )

    assert lets_out(config, get("/get")) == "a.test:80"
    assert lets_out(config, get("/get?x=1")) == "a.test:80"
    assert lets_out(config, get("/foo/get/bar")) is None
    assert lets_out(config, get("/getaway")) is None


def test_a_query_is_never_taken_for_a_path() -> None:
    config = config_of(
        plan_of(rule(Protocol.HTTP, hosts=("a.test",), matches=(RequestMatch("/.*/public"),)))
    )

    assert lets_out(config, get("/x/public?y")) == "a.test:80"
    assert lets_out(config, get("/secret?x=/public")) is None


def test_a_header_that_is_absent_does_not_match() -> None:
    matches = (RequestMatch(headers=(("x-user", ".*"),)),)
    config = config_of(plan_of(rule(Protocol.HTTP, hosts=("a.test",), matches=matches)))

    assert lets_out(config, get(headers=(("x-user", "me"),))) == "a.test:80"
    assert lets_out(config, get()) is None


def test_https_is_withheld_unless_passthrough_lets_it_out_anyway() -> None:
    https = rule(Protocol.HTTPS, port=443, hosts=("a.test", "b.test"))
    attempt = Attempt("192.0.2.1", 443, Protocol.HTTPS, "a.test")
    closed, opened = plan_of(https), plan_of(https, passthrough=True)

    assert lets_out(config_of(closed), attempt) is None
    assert ["spec.hosts"] * 2 == [problem.field for problem in pipy.withheld(closed)]
    assert lets_out(config_of(opened), attempt) == "original"
    assert () == pipy.withheld(opened)


def test_the_narrowest_range_stands_first_behind_what_has_none() -> None:
    ranges = ("10.0.0.0/8", "10.1.1.1/32", "10.1.0.0/16")
    by_policy = [replace(rule(Protocol.TCP, ranges=(r,)), policy=f"p/{r}") for r in ranges]
    plan = plan_of(*by_policy, rule(Protocol.HTTP, hosts=("a.test",)))
    matches = config_of(plan)["Outbound"]["TrafficMatches"]["80"]

    assert [None, ["10.1.1.1/32"], ["10.1.0.0/16"], ["10.0.0.0/8"]] == [
        match["DestinationIPRanges"] and [*match["DestinationIPRanges"]] for match in matches
    ]


def test_of_two_matches_that_hold_an_address_that_of_more_policies_stands_first() -> None:
    """Each has a range that is wider than one of the other's."""
    wide, around, within = "20.0.0.0/7", "10.0.0.0/16", "10.0.1.0/24"
    one = replace(rule(Protocol.TCP, ranges=(around, wide)), policy="p/one")
    two = replace(rule(Protocol.TCP, ranges=(within, wide)), policy="p/two")
    matches = config_of(plan_of(one, two))["Outbound"]["TrafficMatches"]["80"]

    assert [[within, wide], [around]] == [sorted(m["DestinationIPRanges"]) for m in matches]


@pytest.mark.parametrize("host", ["shop", "SHOP.curl", "other.org", "undefined", ""])
def test_in_the_mesh_any_host_leads_to_the_service_that_was_dialled(host: str) -> None:
    shop = Destination("curl", "shop", 80, Protocol.HTTP, ("10.96.0.7",), direct=False)
    plan = Outbound(
        Destinations((shop,)), passthrough=False, egress=egress_plan((), passthrough=False)
    )
    clusters = {shop.name: pipy.cluster((Endpoint("10.1.1.1", 8080),))}
    message = SidecarConfig.FromString(pipy.outbound(plan, clusters))
    config = config_of(plan_of()) | {"Outbound": json.loads(to_json(message))["Outbound"]}
    attempt = Attempt("10.96.0.7", 80, Protocol.HTTP, host, path="/")

    assert lets_out(config, attempt) == "10.1.1.1:8080"


@pytest.mark.parametrize("host", ["undefined", "A.TEST", ""])
def test_outside_it_only_hosts_that_are_named_are(host: str) -> None:
    config = config_of(plan_of(rule(Protocol.HTTP, hosts=("a.test",))))

    assert lets_out(config, get(host=host)) is None


def test_a_path_that_a_server_may_fold_is_for_rules_of_any_path_alone() -> None:
    public = rule(Protocol.HTTP, hosts=("a.test",), matches=(RequestMatch("/public/.*"),))
    closed, opened = (
        config_of(plan_of(public)),
        config_of(plan_of(rule(Protocol.HTTP, hosts=("a.test",)))),
    )

    assert lets_out(closed, get("/public/x")) == "a.test:80"
    for path in ("/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public/..;/x"):
        assert lets_out(closed, get(path)) is None
        assert lets_out(opened, get(path)) == "a.test:80"


def test_an_expression_that_would_stop_the_sidecar_is_withheld_and_others_are_not() -> None:
    matches = (RequestMatch("/(a+)+b"), RequestMatch("/get"))
    plan = plan_of(rule(Protocol.HTTP, hosts=("a.test",), matches=matches))
    (problem,) = pipy.withheld(plan)

    assert lets_out(config_of(plan), get("/get")) == "a.test:80"
    assert lets_out(config_of(plan), get("/aab")) is None
    assert problem.message == (
        "pipy sidecars would try ever more ways through /(a+)+b, and stand still (host a.test), "
        "so they are refused there"
    )
