"""Listeners: which connections are caught, which are let go, and what no sidecar may lack."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener

from support.decoded import chains, listener, routes
from support.envoy_judge import is_silent
from towpath.encode.envoy import (
    inbound_clusters,
    inbound_listener,
    inbound_routes,
    intersection,
    outbound_listener,
    prometheus_listener,
    revoked,
)
from towpath.encode.envoy.inspection import inspected
from towpath.model.names import Protocol
from towpath.model.plan import (
    Destination,
    Destinations,
    Inbound,
    InboundPort,
    Outbound,
    Request,
)
from towpath.model.snapshot import Layer
from towpath.model.types import ROUTES
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

WEB = Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1", "10.96.0.2"), direct=False)
SQL = Destination("shop", "sql", 3306, Protocol.TCP_SERVER_FIRST, ("10.96.0.3",), direct=False)
SMTP = Destination("shop", "smtp", 25, Protocol.TCP_SERVER_FIRST, ("10.96.0.4",), direct=False)
RAW = Destination("shop", "raw", 9000, Protocol.TCP, ("10.96.0.5",), direct=False)
TLS = Destination("shop", "tls", 443, Protocol.HTTPS, ("10.96.0.6",), direct=False)

ALL = (WEB, SQL, SMTP, RAW, TLS)

PAGES = Rule("p/pages", 80, Protocol.HTTP, ("a.test",), None, None, None)
BANK = Rule("p/bank", 443, Protocol.HTTPS, ("b.test",), None, None, None)
MAIL = Rule("p/mail", 25, Protocol.TCP_SERVER_FIRST, None, None, None, None)
BYTES = Rule("p/bytes", 9000, Protocol.TCP, None, None, None, None)
INSPECTORS = ("tls_inspector", "http_inspector")


def _plans(*destinations: Destination) -> list[Outbound]:
    """Every plan with some of the destinations, with and without passthrough."""
    return [
        Outbound(Destinations(chosen), passthrough=passthrough)
        for size in range(len(destinations) + 1)
        for chosen in itertools.combinations(destinations, size)
        for passthrough in (False, True)
    ]


def test_trap_1_nothing_allowed_out_is_no_listener_and_never_one_without_chains() -> None:
    nothing = Outbound(Destinations(), passthrough=False)

    assert Layer() == outbound_listener(nothing)
    for plan in _plans(*ALL):
        if plan != nothing:
            assert _outbound(plan).filter_chains


def test_trap_2_every_outbound_listener_closes_connections_to_its_own_port() -> None:
    for plan in _plans(*ALL):
        for held in outbound_listener(plan).values():
            guard = chains(listener(held))["self-loop-guard"]
            assert guard.filter_chain_match.destination_port.value == 15001
            assert not guard.filters


def test_passthrough_is_the_default_chain_and_nothing_else() -> None:
    for plan in _plans(WEB, SQL):
        for held in outbound_listener(plan).values():
            assert plan.passthrough == listener(held).HasField("default_filter_chain")

    one = Destinations((WEB,))
    with_it = _outbound(Outbound(one, passthrough=True))
    with_it.ClearField("default_filter_chain")
    assert with_it == _outbound(Outbound(one, passthrough=False))


def test_a_destination_is_caught_by_its_port_and_each_of_its_addresses() -> None:
    chain = chains(_outbound(_to(WEB)))["outbound-mesh.shop/web|80"]

    match = chain.filter_chain_match
    assert match.destination_port.value == 80
    assert [("10.96.0.1", 32), ("10.96.0.2", 32)] == [
        (r.address_prefix, r.prefix_len.value) for r in match.prefix_ranges
    ]


def test_no_two_chains_have_the_same_match() -> None:
    for plan in _plans(*ALL):
        for held in outbound_listener(plan).values():
            matches = [
                c.filter_chain_match.SerializeToString() for c in listener(held).filter_chains
            ]
            assert len(matches) == len(set(matches))


def test_trap_5_without_policies_nobody_is_waited_for() -> None:
    for plan in _plans(*ALL):
        for held in outbound_listener(plan).values():
            filters = _listener_filters(listener(held))
            assert not filters["original_dst"].HasField("filter_disabled")
            assert all(filters[name].filter_disabled.any_match for name in INSPECTORS)


@pytest.mark.parametrize(
    ("rules", "ports"),
    [
        ([PAGES], [80]),
        ([PAGES, BANK], [80, 443]),
        ([BANK, replace(BANK, hosts=None)], [443]),
        ([replace(BANK, hosts=None)], [443]),
        ([MAIL, BYTES], []),
        ([MAIL, replace(BYTES, port=25)], []),
        ([MAIL, BANK], [443]),
    ],
)
def test_trap_5_the_first_bytes_are_read_where_policies_ask_for_them(
    rules: list[Rule], ports: list[int]
) -> None:
    for passthrough in (False, True):
        made = _outbound(
            Outbound(
                Destinations((SQL,)), passthrough, egress_plan(tuple(rules), passthrough=False)
            )
        )

        assert frozenset(ports) == inspected(made)
        assert [n for n in range(1, 500) if n not in ports] == [
            port for port in range(1, 500) if is_silent(made, port)
        ]


@pytest.mark.parametrize("passthrough", [False, True])
def test_a_server_that_speaks_first_anywhere_is_not_kept_waiting_by_other_policies(
    *, passthrough: bool
) -> None:
    rules = (MAIL, replace(PAGES, port=25), replace(BANK, port=25))
    plan = Outbound(Destinations(), passthrough, egress_plan(rules, passthrough=passthrough))

    assert frozenset() == inspected(_outbound(plan))


def test_trap_5_the_wait_for_the_first_bytes_has_no_end() -> None:
    """To go on without them would let through what a policy refuses; to close would cut clients."""
    for made in (_outbound(_to(WEB)), _inbound(InboundPort(80, Protocol.TCP, ("shop/web",)))):
        assert made.HasField("listener_filters_timeout")
        assert made.listener_filters_timeout.ToMilliseconds() == 0
        assert not made.continue_on_listener_filters_timeout


def test_an_inbound_listener_reads_no_first_bytes() -> None:
    made = _inbound(InboundPort(80, Protocol.HTTP, ("shop/web",)))

    assert list(_listener_filters(made)) == ["original_dst"]


@pytest.mark.parametrize("destinations", [(WEB,), (WEB, RAW, TLS)])
def test_trap_7_toggling_passthrough_changes_chains_alone(
    destinations: tuple[Destination, ...],
) -> None:
    """Any other field would drain the whole listener, in-mesh connections included."""
    off = _outbound(_to(*destinations))
    on = _outbound(Outbound(Destinations(destinations), passthrough=True))

    assert _without_chains(off) == _without_chains(on)


def test_a_destination_added_changes_chains_alone() -> None:
    assert _without_chains(_outbound(_to(WEB))) == _without_chains(_outbound(_to(WEB, RAW)))


def test_an_inbound_listener_has_a_chain_for_each_port() -> None:
    made = _inbound(
        InboundPort(8080, Protocol.HTTP, ("shop/api", "shop/web")),
        InboundPort(9000, Protocol.TCP, ("shop/web",)),
    )

    ports = {name: c.filter_chain_match.destination_port.value for name, c in chains(made).items()}
    assert ports == {"inbound-mesh.8080": 8080, "inbound-mesh.9000": 9000}
    assert made.address.socket_address.port_value == 15003
    assert not made.HasField("default_filter_chain")


def test_a_pod_that_no_service_leads_to_has_no_inbound_listener() -> None:
    assert Layer() == inbound_listener(Inbound(()))


def test_listeners_stand_where_people_look_for_them() -> None:
    made = [
        _outbound(_to(WEB)),
        _inbound(InboundPort(80, Protocol.HTTP, ("shop/web",))),
        *(listener(held) for held in prometheus_listener().values()),
    ]

    assert [(m.name, m.address.socket_address.port_value) for m in made] == [
        ("outbound-listener", 15001),
        ("inbound-listener", 15003),
        ("prometheus-listener", 15010),
    ]


def test_a_refused_connection_is_in_the_access_log() -> None:
    for made in (_outbound(_to(WEB)), _inbound(InboundPort(80, Protocol.TCP, ("shop/web",)))):
        assert [log.name for log in made.access_log] == ["envoy.access_loggers.stdout"]


def test_equal_plans_make_equal_bytes() -> None:
    for plan in _plans(*ALL):
        again = Outbound(Destinations(tuple(plan.destinations)), passthrough=plan.passthrough)
        assert [r.packed for r in outbound_listener(plan).values()] == [
            r.packed for r in outbound_listener(again).values()
        ]


def _to(*destinations: Destination) -> Outbound:
    return Outbound(Destinations(destinations), passthrough=False)


def _outbound(plan: Outbound) -> Any:
    (held,) = outbound_listener(plan).values()
    return listener(held)


def _inbound(*ports: InboundPort) -> Any:
    (held,) = inbound_listener(Inbound(ports)).values()
    return listener(held)


def _listener_filters(of: Any) -> dict[str, Any]:
    return {f.name.removeprefix("envoy.filters.listener."): f for f in of.listener_filters}


def _without_chains(of: Any) -> Any:
    rest = Listener()
    rest.CopyFrom(of)
    rest.ClearField("filter_chains")
    rest.ClearField("default_filter_chain")
    return rest


def test_the_kubelets_probes_have_chains_that_lead_nobody_else_in() -> None:
    health = (Request("GET", "/health"),)
    plan = Inbound(
        (
            InboundPort(8080, Protocol.HTTP, (), probes=health),
            InboundPort(9000, Protocol.TCP, (), probes=()),
        )
    )
    (made,) = (listener(held) for held in inbound_listener(plan).values())
    (configuration,) = (routes(held) for held in inbound_routes(plan).values())

    assert {"inbound-probes.8080": 1, "inbound-probes.9000": 0} == {
        name: len(chain.filters) for name, chain in chains(made).items()
    }
    [route] = configuration.virtual_hosts[0].routes
    assert ("/health", "GET") == (route.match.path, route.match.headers[0].string_match.exact)
    assert ["inbound|8080|local"] == [held.name for held in inbound_clusters(plan).values()]


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.TCP])
@pytest.mark.parametrize("probes", [(), (Request("GET", "/health"),)])
def test_what_stands_in_while_inbound_closes_lets_nothing_in_but_probes(
    protocol: Protocol, probes: tuple[Request, ...]
) -> None:
    before = Inbound((InboundPort(8080, protocol, ("shop/web",)),))
    after = Inbound((InboundPort(8080, Protocol.HTTP if probes else Protocol.TCP, (), probes),))
    held, new = (inbound_listener(plan)["inbound-listener"] for plan in (before, after))

    met = intersection(held, new)
    assert met is not None
    (chain,) = listener(met).filter_chains
    led = {packed.typed_config.type_url for packed in chain.filters}
    if protocol is Protocol.HTTP and probes:
        old, current = (inbound_routes(plan)["rds-inbound.8080"] for plan in (before, after))
        between = intersection(old, current)
        assert between is not None
        assert routes(current).virtual_hosts == routes(between).virtual_hosts
    else:
        assert set() == led


def test_routes_of_a_port_that_closed_let_nothing_in_on_connections_that_live_on() -> None:
    closed_routes = revoked(ROUTES, "rds-inbound.8080")

    assert closed_routes is not None
    assert [] == list(routes(closed_routes).virtual_hosts)
