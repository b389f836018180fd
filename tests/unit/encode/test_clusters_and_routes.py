"""Clusters, endpoints and routes: where what was caught may go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from support.decoded import (
    assignment,
    cluster,
    clusters_of,
    named_by_listeners,
    routes,
)
from support.objects import (
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
)
from towpath.encode.endpoints import load_assignment
from towpath.encode.envoy import (
    common_clusters,
    inbound_clusters,
    inbound_routes,
    outbound_clusters,
    outbound_routes,
)
from towpath.hub.compose import snapshot
from towpath.model.egress import RequestMatch
from towpath.model.names import ClientKind, Protocol, SidecarId
from towpath.model.plan import Branch, Destination, Destinations, Endpoint, Inbound, InboundPort
from towpath.model.types import CLUSTER, LISTENER, ROUTES

WEB = Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1",), direct=False)
RAW = Destination("shop", "raw", 9000, Protocol.TCP, ("10.96.0.5",), direct=False)
PEER = Destination("shop", "db", 5432, Protocol.TCP, ("10.0.0.1",), direct=True)


def test_a_destination_with_an_address_of_its_own_gets_its_endpoints_by_subscription() -> None:
    made = cluster(outbound_clusters(Destinations((WEB,)))["shop/web|80"])

    assert made.type == Cluster.EDS
    assert made.eds_cluster_config.eds_config.HasField("ads")


def test_a_direct_destination_dials_the_very_address_that_was_dialled() -> None:
    made = cluster(outbound_clusters(Destinations((PEER,)))["shop/db|5432"])

    assert made.type == Cluster.ORIGINAL_DST
    assert made.lb_policy == Cluster.CLUSTER_PROVIDED


def test_passthrough_has_its_cluster_whether_the_switch_is_on_or_not() -> None:
    made = cluster(common_clusters()["passthrough-outbound"])

    assert (made.type, made.lb_policy) == (Cluster.ORIGINAL_DST, Cluster.CLUSTER_PROVIDED)


def test_the_applications_own_port_is_reached_on_loopback() -> None:
    plan = Inbound((InboundPort(8080, Protocol.HTTP, ("shop/api", "shop/web")),))

    made = cluster(inbound_clusters(plan)["inbound|8080|local"])

    (group,) = made.load_assignment.endpoints
    address = group.lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("127.0.0.1", 8080)


@pytest.mark.parametrize("destination", [WEB, RAW, PEER])
def test_only_http_clusters_keep_the_clients_http_version(destination: Destination) -> None:
    made = cluster(outbound_clusters(Destinations((destination,)))[destination.name])

    is_http = destination.protocol is Protocol.HTTP
    assert is_http == bool(made.typed_extension_protocol_options)


def test_no_cluster_has_a_limit_that_nobody_asked_for() -> None:
    for held in (*common_clusters().values(), *outbound_clusters(Destinations((WEB,))).values()):
        (limits,) = cluster(held).circuit_breakers.thresholds
        assert limits.max_connections.value == 2**32 - 1


def test_an_assignment_has_every_endpoint_in_one_weighted_locality() -> None:
    held = load_assignment("shop/web|80", (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8081)))

    made = assignment(held)
    (group,) = made.endpoints
    addresses = [e.endpoint.address.socket_address for e in group.lb_endpoints]
    assert (held.name, made.cluster_name) == ("shop/web|80", "shop/web|80")
    assert group.load_balancing_weight.value == 1
    assert [(a.address, a.port_value) for a in addresses] == [
        ("10.0.0.1", 8080),
        ("10.0.0.2", 8081),
    ]


def test_no_endpoints_is_an_answer_too() -> None:
    made = assignment(load_assignment("shop/web|80", ()))

    assert (made.cluster_name, len(made.endpoints)) == ("shop/web|80", 0)


def test_http_destinations_have_routes_that_leave_host_and_time_alone() -> None:
    layer = outbound_routes(Destinations((WEB, RAW, PEER)))

    assert list(layer) == ["rds-outbound.shop/web|80"]
    (host,) = routes(layer["rds-outbound.shop/web|80"]).virtual_hosts
    connect, every = host.routes
    assert list(host.domains) == ["*"]
    assert connect.match.HasField("connect_matcher")
    assert every.match.prefix == "/"
    for route in (connect, every):
        assert route.route.cluster == "shop/web|80"
        assert route.route.HasField("timeout")
        assert route.route.timeout.ToMilliseconds() == 0


@pytest.mark.parametrize(
    ("match", "tunnels"),
    [
        (RequestMatch(headers=(("x-user", "tester"),)), True),
        (RequestMatch(methods=("CONNECT", "GET")), True),
        (RequestMatch(methods=("GET",)), False),
        (RequestMatch("/preview/.*"), False),
    ],
)
def test_a_split_for_requests_of_any_path_is_for_tunnels_too(
    match: RequestMatch, *, tunnels: bool
) -> None:
    to_preview, to_web = (("shop/v1|80", 1),), (("shop/web|80", 1),)
    branches = (Branch("shop/split", (match,), to_preview), Branch("", (), to_web))
    layer = outbound_routes(Destinations((replace(WEB, branches=branches),)))
    (host,) = routes(layer["rds-outbound.shop/web|80"]).virtual_hosts
    first = next(one for one in host.routes if one.match.HasField("connect_matcher"))

    assert ("shop/v1|80" if tunnels else "shop/web|80") == first.route.cluster
    assert [name for name, _ in match.headers] == [one.name for one in first.match.headers]


def test_open_ports_have_routes_to_the_application_also_for_who_spoke_http_before() -> None:
    layer = inbound_routes(
        Inbound(
            (
                InboundPort(8080, Protocol.HTTP, ("shop/web",)),
                InboundPort(9000, Protocol.TCP, ("shop/web",)),
            )
        )
    )

    assert {name: clusters_of(routes(layer[name])) for name in layer} == {
        "rds-inbound.8080": {"inbound|8080|local"},
        "rds-inbound.9000": {"inbound|9000|local"},
    }


def test_every_route_configuration_and_cluster_that_is_named_is_in_the_snapshot() -> None:
    mesh = mesh_of(
        namespace(),
        mesh_config(egress=True),
        service("web", port(80), port(3306, Protocol.TCP_SERVER_FIRST, target="db")),
        headless("vault", port(80)),
        endpoint_slice("vault", "10.0.0.9"),
        pod("web-1", ports={"db": 3306}),
    )
    held = snapshot(mesh, ClientKind.ENVOY, SidecarId(pod="web-1", namespace="shop"))
    assert held is not None

    clusters, configurations = named_by_listeners(held.of(LISTENER).values())
    for configuration in held.of(ROUTES).values():
        clusters |= clusters_of(routes(configuration))

    assert configurations | {"rds-inbound.3306"} == set(held.of(ROUTES))
    assert clusters == set(held.of(CLUSTER))
