"""A change of who may what is one of routes alone, and what is rejected never leaves more open."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.any_pb2 import Any as AnyMessage

from support.decoded import chains, listener, routes, unpacked
from towpath.encode.envoy import inbound_listener, inbound_routes, intersection
from towpath.encode.envoy.filters import http_by_rds, network_filter, tcp_proxy
from towpath.encode.envoy.limits import REQUEST_LIMIT
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.encode.envoy.rbac import EVERYTHING, allow, everything
from towpath.encode.pack import pack, resource
from towpath.model.names import Protocol
from towpath.model.plan import Inbound, InboundPort
from towpath.model.snapshot import Resource

NAME = "rds-inbound.8080"
REGEX = "1.*"
"""A path that is an expression, for which a client may reject it."""


def test_the_filter_of_an_inbound_listener_allows_nothing_and_routes_say_what_it_allows() -> None:
    port = Inbound((InboundPort(8080, Protocol.HTTP, ("shop/web",)),))
    [chain] = listener(inbound_listener(port)["inbound-listener"]).filter_chains
    manager = unpacked(chain.filters[0].typed_config, hcm.HttpConnectionManager)
    names = [one.name for one in manager.http_filters]
    base = unpacked(manager.http_filters[1].typed_config, RBAC)

    headers, router = "envoy.filters.http.header_mutation", "envoy.filters.http.router"
    # Who is refused takes nothing of what is limited.
    assert [headers, RBAC_FILTER, REQUEST_LIMIT, router] == names
    assert base.HasField("rules")
    assert {} == dict(base.rules.policies)
    assert {EVERYTHING} == _allowed(inbound_routes(port)[NAME])


@pytest.mark.parametrize(
    ("before", "after", "common"),
    [
        ({"a": "1", "b": "2"}, {"b": "2", "c": "3"}, {"b"}),
        ({"a": "1"}, {"a": "2"}, set()),
        (None, {"a": "1", "b": REGEX}, {"a"}),
        ({"a": "1"}, None, {"a"}),
        (None, None, {EVERYTHING}),
    ],
)
def test_between_two_sets_of_policies_those_of_both_hold(
    before: dict[str, str] | None, after: dict[str, str] | None, common: set[str]
) -> None:
    between = intersection(_routes(before), _routes(after))

    assert between is not None
    assert common == _allowed(between)
    assert 2 == len(routes(between).virtual_hosts[0].routes)


@pytest.mark.parametrize(
    ("shadow", "after", "common"),
    [
        ({"a": REGEX, "b": "2"}, {"a": REGEX, "c": REGEX}, {"a"}),
        ({"a": REGEX}, {"a": "2"}, {"a"}),
        ({}, {"a": REGEX}, set()),
    ],
)
def test_what_was_counted_holds_until_it_decides(
    shadow: dict[str, str], after: dict[str, str], common: set[str]
) -> None:
    counting = _routes(None, shadow=shadow)
    deciding = _routes(after)
    between, back = intersection(counting, deciding), intersection(deciding, counting)

    assert between is not None
    assert back is not None
    assert common == _allowed(between)
    assert set(after) == _allowed(back)


def test_what_was_only_counted_beside_policies_never_holds() -> None:
    between = intersection(_routes({"a": "1"}, shadow={"b": "2"}), _routes({"b": "2"}))

    assert between is not None
    assert set() == _allowed(between)


@pytest.mark.parametrize("at_first", [None, {"a": "1"}])
def test_a_host_of_which_only_one_speaks_to_the_filter_allows_nothing(
    at_first: dict[str, str] | None,
) -> None:
    said, silent = _routes(at_first), _changed(_routes(at_first), _silence)

    for before, after in ((said, silent), (silent, said)):
        between = intersection(before, after)
        assert between is not None
        assert set() == _allowed(between)


def test_a_rule_of_another_form_allows_nothing_meanwhile() -> None:
    def deny(host: Any) -> None:
        said = RBACPerRoute()
        host.typed_per_filter_config[RBAC_FILTER].Unpack(said)
        said.rbac.rules.action = 1
        host.typed_per_filter_config[RBAC_FILTER].CopyFrom(pack(said))

    between = intersection(_changed(_routes(None), deny), _routes(None))
    assert between is not None
    assert set() == _allowed(between)


def test_a_host_that_says_something_to_another_filter_has_no_route_meanwhile() -> None:
    def limit(host: Any) -> None:
        host.typed_per_filter_config["limit"].CopyFrom(AnyMessage())

    between = intersection(_changed(_routes(None), limit), _routes(None))
    assert between is not None
    assert [] == list(routes(between).virtual_hosts[0].routes)


def test_a_route_that_says_something_else_to_a_filter_is_another_route() -> None:
    def override(host: Any) -> None:
        route: Route = host.routes[-1]
        route.typed_per_filter_config[RBAC_FILTER].CopyFrom(allow(_policies({"a": "1"})))

    for before, after in (
        (_changed(_routes(None), override), _routes(None)),
        (_routes(None), _changed(_routes(None), override)),
    ):
        between = intersection(before, after)
        assert between is not None
        [route] = routes(between).virtual_hosts[0].routes
        assert route.match.HasField("connect_matcher")


def test_a_chain_that_does_not_ask_never_stands_in_for_one_that_does() -> None:
    asking = _chain(*_asking())
    for silent in (_chain(tcp_proxy("x", "y")), _chain(http_by_rds("x", NAME))):
        met = intersection(_listener(silent), _listener(asking))
        assert met is not None
        assert {"inbound-mesh.8080": []} == _filters(met)


def test_beside_routes_that_let_in_everything_asking_them_is_no_question() -> None:
    silent = _chain(tcp_proxy("x", "y"))
    met = intersection(_listener(silent), _listener(_chain(*_asking())), inbound_open=True)

    assert met is not None
    assert {"inbound-mesh.8080": list(silent.filters)} == _filters(met)


def test_beside_such_routes_any_other_question_counts() -> None:
    manager = unpacked(_asking()[0].typed_config, hcm.HttpConnectionManager)
    manager.http_filters.insert(0, hcm.HttpFilter(name="envoy.filters.http.jwt_authn"))
    asking = _chain(network_filter(manager))
    met = intersection(_listener(_chain(tcp_proxy("x", "y"))), _listener(asking), inbound_open=True)

    assert met is not None
    assert {"inbound-mesh.8080": []} == _filters(met)


def test_a_chain_that_asks_more_stands_in_for_one_that_asks_less() -> None:
    asking, silent = _chain(*_asking()), _chain(tcp_proxy("x", "y"))
    met = intersection(_listener(asking), _listener(silent))

    assert met is not None
    assert {"inbound-mesh.8080": list(asking.filters)} == _filters(met)


def test_a_source_that_is_gone_is_gone_and_one_that_is_new_is_not_there_yet() -> None:
    old, stays, new = (_from(f"10.0.0.{number}") for number in (1, 2, 3))
    met = intersection(_listener(old, stays), _listener(stays, new))

    assert met is not None
    assert {stays.name} == set(_filters(met))


def test_sources_never_leave_open_what_was_open_to_all() -> None:
    anyone = _chain(tcp_proxy("x", "y"))
    met = intersection(_listener(anyone), _listener(_from("10.0.0.1")))

    chains_left = [] if met is None else listener(met).filter_chains
    assert [] == [c for c in chains_left if not c.filter_chain_match.direct_source_prefix_ranges]


def _asking() -> Any:
    port = Inbound((InboundPort(8080, Protocol.HTTP, ("shop/web",)),))
    [chain] = listener(inbound_listener(port)["inbound-listener"]).filter_chains
    return chain.filters


def _chain(*filters: Any, name: str = "inbound-mesh.8080") -> FilterChain:
    match = FilterChainMatch(destination_port={"value": 8080})
    return FilterChain(name=name, filter_chain_match=match, filters=filters)


def _from(address: str) -> FilterChain:
    chain = _chain(tcp_proxy("x", "y"), name=f"inbound-mesh.8080@{address}")
    source = CidrRange(address_prefix=address, prefix_len={"value": 32})
    chain.filter_chain_match.direct_source_prefix_ranges.append(source)
    return chain


def _listener(*of: FilterChain) -> Resource:
    return resource("inbound-listener", Listener(name="inbound-listener", filter_chains=of))


def _filters(of: Resource) -> dict[str, list[Any]]:
    return {name: list(chain.filters) for name, chain in chains(listener(of)).items()}


def _policies(paths: dict[str, str]) -> dict[str, Policy]:
    anyone = Principal(any=True)
    return {
        name: Policy(permissions=[_path(path)], principals=[anyone]) for name, path in paths.items()
    }


def _path(path: str) -> Permission:
    how = "safe_regex" if path == REGEX else "exact"
    return Permission(url_path={"path": {how: {"regex": path} if path == REGEX else path}})


def _routes(policies: dict[str, str] | None, *, shadow: dict[str, str] | None = None) -> Resource:
    """The routes of a port; None: with everything allowed. *shadow* are policies that count."""

    def allow_these(host: Any) -> None:
        wanted = everything() if policies is None else _policies(policies)
        counting = None if shadow is None else _policies(shadow)
        host.typed_per_filter_config[RBAC_FILTER].CopyFrom(allow(wanted, shadow=counting))

    plan = Inbound((InboundPort(8080, Protocol.HTTP, ("shop/web",)),))
    return _changed(inbound_routes(plan)[NAME], allow_these)


def _silence(host: Any) -> None:
    host.typed_per_filter_config.clear()


def _changed(given: Resource, change: Any) -> Resource:
    configuration = routes(given)
    change(configuration.virtual_hosts[0])
    return resource(NAME, configuration)


def _allowed(of: Resource) -> set[str]:
    """Names of the policies that allow something."""
    [host] = routes(of).virtual_hosts
    if RBAC_FILTER not in host.typed_per_filter_config:
        return set()
    said = unpacked(host.typed_per_filter_config[RBAC_FILTER], RBACPerRoute)
    return set(said.rbac.rules.policies)
