"""What takes the place of a resource lets through no more than it, and nothing else than before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from support.decoded import assignment, chains, cluster, listener, routes
from towpath.encode.envoy import (
    closed,
    egress_routes,
    inbound_routes,
    intersection,
    outbound_listener,
    routes_intersection,
)
from towpath.encode.envoy.inspection import inspected
from towpath.encode.pack import resource
from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.model.plan import (
    Destination,
    Destinations,
    Inbound,
    InboundPort,
    Outbound,
    Request,
)
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

HTTP = Rule("p/x", 80, Protocol.HTTP, ("a.test",), None, None, None)
TLS = Rule("p/y", 443, Protocol.HTTPS, ("b.test",), None, None, None)
SILENT = Rule("p/z", 443, Protocol.TCP_SERVER_FIRST, None, ("192.0.2.0/24",), None, None)
RULES = "rds-egress.80"

OPEN = InboundPort(8080, Protocol.HTTP, ("shop/web",))
PROBES_ALONE = replace(OPEN, probes=(Request("GET", "/health"),))
PROBES_BY_POLICY = replace(OPEN, permits=(), health=(Request("GET", "/health"),))


def _listener(*rules: Rule, passthrough: bool = False) -> Resource:
    let_out = egress_plan(rules, passthrough=passthrough)
    return outbound_listener(Outbound(Destinations(), passthrough, let_out))["outbound-listener"]


def _routes(*rules: Rule, passthrough: bool = False) -> Resource:
    return egress_routes(egress_plan(rules, passthrough=passthrough))[RULES]


def _inbound(port: InboundPort) -> Resource:
    return inbound_routes(Inbound((port,)))["rds-inbound.8080"]


def _met(held: Resource, new: Resource) -> Resource:
    met = intersection(held, new)
    assert met is not None
    return met


def _matching(*paths: str) -> Rule:
    return replace(HTTP, matches=tuple(RequestMatch(path) for path in paths))


def test_a_chain_that_is_gone_is_gone_at_once_and_no_other_connection_is_drained() -> None:
    held, new = listener(_listener(HTTP, TLS)), listener(_listener(HTTP))

    met = listener(_met(_listener(HTTP, TLS), _listener(HTTP)))
    assert list(new.filter_chains) == list(met.filter_chains)
    assert list(held.listener_filters) == list(met.listener_filters)


def test_a_chain_that_is_new_is_not_there_yet_and_the_rest_is() -> None:
    held = _listener(HTTP)

    assert held == _met(held, _listener(HTTP, TLS))


def test_a_way_out_for_everything_ends_at_once() -> None:
    held, new = _listener(TLS, passthrough=True), _listener(TLS)

    met = listener(_met(held, new))
    assert not met.HasField("default_filter_chain")


def test_what_a_new_chain_would_restrict_is_closed_and_not_let_through_as_before() -> None:
    held, new = _listener(passthrough=True), _listener(TLS, passthrough=True)

    met = listener(_met(held, new))
    restricting = chains(met).keys() - chains(listener(held)).keys()
    assert restricting
    assert [] == [f for name in restricting for f in chains(met)[name].filters]
    assert met.HasField("default_filter_chain")


def _headless(*addresses: str) -> Resource:
    db = Destination("shop", "db", 5432, Protocol.TCP, addresses, direct=True)
    return outbound_listener(Outbound(Destinations((db,)), passthrough=False))["outbound-listener"]


def test_of_a_headless_service_the_addresses_that_stay_are_reachable_all_the_while() -> None:
    one, two, three = "10.1.0.1", "10.1.0.2", "10.1.0.3"

    assert _headless(two) == _met(_headless(one, two), _headless(two, three))
    assert _headless(one) == _met(_headless(one), _headless(one, two))
    assert _headless(one) == _met(_headless(one, two), _headless(one))
    assert "outbound-mesh" not in str(chains(listener(_met(_headless(one), _headless(two)))))


@pytest.mark.parametrize("before", [(), (SILENT,), (HTTP,)])
def test_what_a_new_chain_asks_for_is_read_though_the_held_listener_did_not(
    before: tuple[Rule, ...],
) -> None:
    """Otherwise the closed chain would never be chosen, and passthrough would take its place."""
    held, new = _listener(*before, passthrough=True), _listener(TLS, passthrough=True)

    met = listener(_met(held, new))
    assert frozenset({443}) == inspected(met)
    (closed_one,) = (c for c in met.filter_chains if "443" in c.name)
    assert [] == list(closed_one.filters)
    assert ["b.test"] == list(closed_one.filter_chain_match.server_names)


def test_routes_of_both_stay_and_the_last_refuses() -> None:
    held, new = _routes(_matching("/a", "/b")), _routes(_matching("/b", "/c"))

    (host,) = routes(_met(held, new)).virtual_hosts
    allowed = [r.match.safe_regex.regex for r in host.routes if r.HasField("route")]
    assert ["/b"] == allowed
    assert host.routes[-1].HasField("direct_response")


def test_routes_that_only_became_fewer_are_the_new_ones() -> None:
    held, new = _routes(_matching("/a", "/b")), _routes(_matching("/b"))

    assert new == _met(held, new)


def test_a_host_that_is_new_under_a_wildcard_is_refused_until_its_routes_come() -> None:
    """Passed through before; the policy that now names it allows one path."""
    held = _routes(replace(HTTP, hosts=("other.test",)), passthrough=True)
    new = _routes(replace(HTTP, hosts=("other.test",)), _matching("/a"), passthrough=True)

    hosts = {host.name: host for host in routes(_met(held, new)).virtual_hosts}
    assert [] == list(hosts["egress_virtual-host|a.test"].routes)
    assert 2 == len(hosts["egress_virtual-host|*"].routes)


def test_a_host_that_is_gone_is_gone() -> None:
    held = _routes(HTTP, replace(HTTP, hosts=("other.test",)))

    assert _routes(HTTP) == _met(held, _routes(HTTP))


def test_a_domain_that_two_hosts_claim_is_the_firsts() -> None:
    """Envoy rejects such routes, and would reject what stands in for them."""
    held = _routes(_matching("/a"), passthrough=True)
    twice = routes(held)
    domain = twice.virtual_hosts[0].domains[0]
    twice.virtual_hosts.add(name="again", domains=[domain.upper()])
    assert held == _met(held, resource(RULES, twice))

    twice.virtual_hosts[-1].domains.append("more.test")
    met = routes(_met(held, resource(RULES, twice)))
    assert ["more.test"] == list(met.virtual_hosts[-1].domains)
    assert [] == list(met.virtual_hosts[-1].routes)


@pytest.mark.parametrize("closing", [PROBES_ALONE, PROBES_BY_POLICY])
def test_probes_pass_all_the_while_a_port_closes_or_opens(closing: InboundPort) -> None:
    for held, new in ((OPEN, closing), (closing, OPEN)):
        met = _met(_inbound(held), _inbound(new))

        assert routes(_inbound(closing)) == routes(met)


def test_a_narrower_route_behind_another_target_stays_out() -> None:
    elsewhere = routes(_inbound(PROBES_ALONE))
    narrow = elsewhere.virtual_hosts[0].routes
    narrow.add().CopyFrom(narrow[0])
    narrow[0].match.path = "/he"
    narrow[0].route.cluster = "another"

    met = routes(_met(_inbound(OPEN), resource(elsewhere.name, elsewhere)))
    assert [] == list(met.virtual_hosts[0].routes)


def test_a_tunnel_stays_only_where_the_new_routes_let_one_through() -> None:
    held, new = _inbound(OPEN), routes(_inbound(OPEN))
    tunnel, everything = new.virtual_hosts[0].routes
    tunnel.ClearField("route")
    tunnel.direct_response.status = 403
    del new.virtual_hosts[0].routes[0]
    new.virtual_hosts[0].routes.add().CopyFrom(tunnel)

    met = routes(_met(held, resource(new.name, new)))
    assert [everything] == list(met.virtual_hosts[0].routes)


def test_a_narrower_route_that_a_client_may_reject_is_not_used_yet() -> None:
    met = routes(_met(_routes(HTTP), _routes(_matching("/a"))))

    assert [] == [
        route for host in met.virtual_hosts for route in host.routes if route.route.cluster
    ]


@pytest.mark.parametrize("held", [_listener(HTTP, TLS), _routes(_matching("/a"))])
def test_the_meet_with_itself_is_itself(held: Resource) -> None:
    assert held is intersection(held, held)


@pytest.mark.parametrize(
    ("held", "new"),
    [
        (_listener(HTTP, TLS), _listener(HTTP)),
        (_listener(passthrough=True), _listener(TLS, passthrough=True)),
        (_listener(SILENT, passthrough=True), _listener(TLS, passthrough=True)),
        (_routes(_matching("/a", "/b")), _routes(_matching("/b", "/c"))),
        (_routes(HTTP, passthrough=True), _routes(_matching("/c"), passthrough=True)),
    ],
)
def test_what_was_met_stays_what_it_is(held: Resource, new: Resource) -> None:
    met = _met(held, new)

    assert met == intersection(met, new)


def _cluster(**fields: Any) -> Resource:
    return resource("a", Cluster(name="a", **fields))


def test_a_cluster_stays_what_it_was_only_if_it_leads_where_it_did() -> None:
    slow = _cluster(type=Cluster.STRICT_DNS, connect_timeout={"seconds": 9})
    fast = _cluster(type=Cluster.STRICT_DNS, connect_timeout={"seconds": 1})
    anywhere = _cluster(type=Cluster.ORIGINAL_DST)

    assert slow == intersection(slow, fast)
    assert intersection(anywhere, fast) is None


def _endpoints(*hosts: str) -> Resource:
    ends = [
        LbEndpoint(
            endpoint=Endpoint(
                address=Address(socket_address=SocketAddress(address=host, port_value=80))
            )
        )
        for host in hosts
    ]
    groups = [LocalityLbEndpoints(lb_endpoints=ends)]
    return resource("a", ClusterLoadAssignment(cluster_name="a", endpoints=groups))


def test_the_endpoints_of_both_stay() -> None:
    met = assignment(_met(_endpoints("10.0.0.1", "10.0.0.2"), _endpoints("10.0.0.2", "10.0.0.3")))

    (group,) = met.endpoints
    assert ["10.0.0.2"] == [
        one.endpoint.address.socket_address.address for one in group.lb_endpoints
    ]


def test_of_a_type_that_is_not_known_nothing_is_kept() -> None:
    other = "type.googleapis.com/other"
    assert intersection(Resource(other, "a", "1", b""), Resource(other, "a", "2", b"")) is None


@pytest.mark.parametrize("name", ["outbound-listener", "inbound-listener", "prometheus-listener"])
def test_a_closed_listener_closes_whatever_comes(name: str) -> None:
    held = closed(LISTENER, name)
    assert held is not None
    assert [[]] == [list(chain.filters) for chain in listener(held).filter_chains]


def test_closed_resources_let_nothing_through() -> None:
    def made(type_url: str) -> Resource:
        found = closed(type_url, "a")
        assert found is not None
        return found

    assert [] == list(cluster(made(CLUSTER)).load_assignment.endpoints)
    assert [] == list(assignment(made(ENDPOINTS)).endpoints)
    assert [] == list(routes(made(ROUTES)).virtual_hosts)
    assert closed(LISTENER, "a") is None


def test_of_many_hosts_only_those_that_differ_are_compared_route_by_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compare, compared = routes_intersection._common, []

    def count(*routes: Any) -> Any:
        compared.append(routes)
        return compare(*routes)

    monkeypatch.setattr(routes_intersection, "_common", count)
    names = [f"h{n}.test" for n in range(50)]
    rules = [replace(_matching("/a", "/b"), hosts=(name,)) for name in names]
    changed = [*rules[:-1], replace(_matching("/a"), hosts=(names[-1],))]

    met = routes(_met(_routes(*rules), _routes(*changed)))
    assert 1 == len(compared)
    assert routes(_routes(*changed)) == met
