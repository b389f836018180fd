"""A summary shows what each resource decides, one line for each thing."""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from support.objects import egress, mesh_config, mesh_of, namespace, pod, setting
from towpath.encode.envoy import closed
from towpath.encode.pack import resource, seconds
from towpath.hub.compose import snapshot
from towpath.model.names import ClientKind, Protocol, SidecarId
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.summary import summarize
from towpath_api.v1.sidecar_pb2 import SidecarConfig


def lines(*resources: Resource) -> list[str]:
    """The summary's lines, without versions."""
    text = summarize(resources)
    for one in resources:
        text = text.replace(f"  [{one.version}]", "")
    return text.splitlines()


def test_nothing_has_an_empty_summary() -> None:
    assert "" == summarize(())


def test_every_resource_has_its_version() -> None:
    cluster = resource("a", Cluster(name="a"))

    assert f"cluster a, static  [{cluster.version}]\n" == summarize([cluster])


def test_they_come_in_the_order_in_which_a_connection_meets_them() -> None:
    messages = {
        "e": ClusterLoadAssignment(cluster_name="e"),
        "c2": Cluster(name="c2"),
        "r": RouteConfiguration(name="r"),
        "c1": Cluster(name="c1"),
        "s": Secret(name="s"),
        "l": Listener(name="l"),
    }
    resources = [resource(name, message) for name, message in messages.items()]
    headings = [line for line in lines(*resources) if not line.startswith(" ")]

    assert ["listener l, :0", "routes r", "cluster c1, static", "cluster c2, static"] == headings[
        :4
    ]
    assert ["endpoints e", "secret s, empty"] == headings[4:]


def test_a_secret_is_shown_by_its_name_and_kind_alone() -> None:
    secret = Secret(name="tls")
    secret.tls_certificate.private_key.inline_string = "the key"

    assert ["secret tls, certificate and key"] == lines(resource("tls", secret))


def test_a_chain_shows_its_match_its_filters_and_its_cluster() -> None:
    mesh = mesh_of(
        namespace(),
        pod("curl"),
        mesh_config(policies=True, egress=True),
        egress("names", (443, Protocol.HTTPS), hosts=("*.a.test", "b.test")),
        egress("range", (5432, Protocol.TCP), hosts=None, ranges=("10.0.0.0/8",)),
    )
    config = snapshot(mesh, ClientKind.ENVOY, SidecarId("curl", "shop"))
    assert config is not None

    expected = """
listener outbound-listener, outbound, 0.0.0.0:15001
  inspects tls, http on port 443
  self-loop-guard               port 15001                   -> close
  egress-https.443|*.a.test     port 443; SNI *.a.test; tls  -> SNI -> tcp_proxy -> *.a.test:443
  egress-https.443|b.test       port 443; SNI b.test; tls    -> tcp_proxy -> b.test:443
  egress-tcp.5432|10.0.0.0/8    port 5432; to 10.0.0.0/8     -> tcp_proxy -> 5432
  outbound-egress-filter-chain  any other                    -> tcp_proxy -> passthrough-outbound
"""
    expected = expected.replace("> SNI ", "> sni_dynamic_forward_proxy ")
    assert expected.splitlines()[1:] == lines(config.of(LISTENER)["outbound-listener"])


def test_a_filter_that_is_not_known_is_named() -> None:
    chain = FilterChain(filters=[Filter(name="envoy.filters.network.echo")])

    assert ["  -  any  -> echo"] == lines(resource("l", Listener(name="l", filter_chains=[chain])))[
        1:
    ]


def test_routes_stand_in_the_order_of_their_trial() -> None:
    get = HeaderMatcher(name=":method", string_match=StringMatcher(exact="GET"))
    routes = [
        Route(
            match=RouteMatch(path="/a", headers=[get]),
            route=RouteAction(cluster="one", timeout=seconds(1.5)),
        ),
        Route(match=RouteMatch(prefix="/b"), route=RouteAction(cluster="two")),
        Route(match=RouteMatch(connect_matcher={}), route=RouteAction(cluster="three")),
    ]
    hosts = [
        VirtualHost(name="h", domains=["h.test", "h.test:80"], routes=routes),
        VirtualHost(name="none", domains=["*"]),
    ]

    assert [
        "routes r",
        "  host h.test, h.test:80",
        "    path = /a; method = GET  -> one timeout 1.5s",
        "    path = /b*               -> two",
        "    CONNECT                  -> three",
        "  host *",
        "    no route",
    ] == lines(resource("r", RouteConfiguration(name="r", virtual_hosts=hosts)))


def test_a_limit_is_shown_where_one_is_set() -> None:
    mesh = mesh_of(
        namespace(),
        pod("curl"),
        mesh_config(policies=True),
        egress("limited", hosts=("a.test",), setting="limits"),
        egress("free", hosts=("b.test",)),
        setting("limits", max_connections=7),
    )
    config = snapshot(mesh, ClientKind.ENVOY, SidecarId("curl", "shop"))
    assert config is not None
    clusters = config.of(CLUSTER)

    assert [
        "cluster a.test:80, dns, http, max_connections 7 -> a.test:80",
        "cluster b.test:80, dns, http -> b.test:80",
    ] == lines(clusters["a.test:80"], clusters["b.test:80"])


def test_weights_are_shown_where_they_differ() -> None:
    def assignment(*weights: int) -> Resource:
        message = ClusterLoadAssignment(cluster_name="c")
        locality = message.endpoints.add()
        for number, weight in enumerate(weights):
            endpoint = locality.lb_endpoints.add()
            endpoint.load_balancing_weight.value = weight
            socket = endpoint.endpoint.address.socket_address
            socket.address, socket.port_value = f"2001:db8::{number}", 80
        return resource("c", message)

    assert ["  [2001:db8::0]:80", "  [2001:db8::1]:80"] == lines(assignment(1, 1))[1:]
    assert [
        "  [2001:db8::0]:80 (weight 1)",
        "  [2001:db8::1]:80 (weight 2)",
    ] == lines(assignment(1, 2))[1:]
    assert ["  none"] == lines(assignment())[1:]


def test_what_lets_nothing_through_reads_so() -> None:
    stand_ins = [
        closed(type_url, name)
        for type_url, name in {
            LISTENER: "outbound-listener",
            ROUTES: "rds-egress.80",
            CLUSTER: "a.test:80",
            ENDPOINTS: "shop/web|80",
        }.items()
    ]

    assert [
        "listener outbound-listener, 0.0.0.0:15001",
        "  self-loop-guard  any  -> close",
        "routes rds-egress.80",
        "  no host",
        "cluster a.test:80, static, connect_timeout 1s -> none",
        "endpoints shop/web|80",
        "  none",
    ] == lines(*(one for one in stand_ins if one is not None))


def test_what_a_tenant_writes_cannot_begin_a_line_of_its_own() -> None:
    host = VirtualHost(name="h", domains=["a\n  host b"], routes=[])
    routes = resource("r", RouteConfiguration(name="r", virtual_hosts=[host]))

    assert ["routes r", "  host a\\n  host b", "    no route"] == lines(routes)


def test_a_field_of_a_sidecar_config_without_a_form_of_its_own_is_shown_by_its_name() -> None:
    config = SidecarConfig(name="curl.shop")
    config.spec.remote_logging_level = 2
    config.certificate.cert_chain = "PEM"
    config.outbound.clusters_configs["a:80"].retry_policy.retry_on = "5xx"

    shown = lines(resource("curl.shop", config))

    assert "  remote_logging_level 2" in shown
    assert '  certificate {"cert_chain": "PEM"}' in shown
    assert '  outbound cluster a:80, retry_policy {"retry_on": "5xx"} -> nothing' in shown
