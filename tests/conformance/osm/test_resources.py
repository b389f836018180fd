"""Rows L, R and D: what a sidecar is sent."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from support.decoded import unpacked
from support.egress_yaml import (
    egress_object,
    group_match,
    group_object,
    port,
    result_of,
    setting_match,
    setting_object,
)
from support.envoy_judge import is_silent

HTTP = ["http/1.0", "http/1.1", "h2c"]
UNLIMITED = 0xFFFFFFFF


def _ranges(chain: Any) -> list[str]:
    ranges = chain.filter_chain_match.prefix_ranges
    return [f"{one.address_prefix}/{one.prefix_len.value}" for one in ranges]


def _tcp(number: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    return egress_object(f"p-{protocol}-{number}", ports=[port(number, protocol)], **more)


@pytest.mark.parametrize("number", [80, 100])
def test_L1_L2_an_http_chain(number: int) -> None:
    """Different: `raw_buffer` too, so that TLS which offers http/1.1 is not taken for HTTP."""
    result = result_of(_tcp(number, "http", hosts=["foo.com"]))
    match = result.chains[f"egress-http.{number}"].filter_chain_match

    assert match.destination_port.value == number
    assert list(match.application_protocols) == HTTP
    assert match.transport_protocol == "raw_buffer"
    assert len(result.chains[f"egress-http.{number}"].filters) == 1


def test_L3_a_tcp_chain() -> None:
    chain = result_of(_tcp(80)).chains["egress-tcp.80"]

    assert chain.filter_chain_match.destination_port.value == 80
    assert not chain.filter_chain_match.transport_protocol
    assert [f.name for f in chain.filters] == ["envoy.filters.network.tcp_proxy"]


def test_L4_a_tcp_chain_with_ranges() -> None:
    chains = result_of(_tcp(100, ipAddresses=["10.0.0.0/24", "8.8.8.8/32"])).chains

    assert [_ranges(chain) for chain in chains.values()] == [["8.8.8.8/32", "10.0.0.0/24"]]


def test_L5_L6_all_three_protocols_on_one_port() -> None:
    ranges = ["10.0.0.0/24"]
    chains = result_of(
        _tcp(100, "http", hosts=["foo.com"]),
        _tcp(100, "https", hosts=["foo.com"], ipAddresses=ranges),
        _tcp(100, ipAddresses=ranges),
    ).chains
    https = chains["egress-https.100|foo.com|10.0.0.0/24"]

    assert list(https.filter_chain_match.server_names) == ["foo.com"]
    assert _ranges(https) == ranges
    assert {"egress-http.100", "egress-tcp.100|10.0.0.0/24"} <= chains.keys()


def test_L7_an_unknown_protocol_has_no_chain() -> None:
    result = result_of(
        egress_object(hosts=["foo.com"], ports=[port(100, "http"), port(101, "invalid")])
    )

    assert list(result.chains) == ["egress-http.100"]
    assert any('"invalid"' in problem.message for problem in result.problems)


@pytest.mark.parametrize("ports", [[], [1], [1, 3]])
def test_L8_L9_server_first_ports_switch_inspection_off(ports: list[int]) -> None:
    """As everything that no policy asks for: here the only port that is read is another's."""
    named = egress_object(hosts=["foo.com"], ports=[port(100, "http")])
    result = result_of(named, _tcp(9), *(_tcp(number, "tcp-server-first") for number in ports))

    assert [p for p in range(1, 200) if not is_silent(result.listener, p)] == [100]


def test_L10_all_listener_filters_and_an_access_log() -> None:
    listener = result_of(_tcp(1, "tcp-server-first")).listener
    names = [f.name.removeprefix("envoy.filters.listener.") for f in listener.listener_filters]

    assert names == ["original_dst", "tls_inspector", "http_inspector"]
    assert len(listener.access_log) == 1


def test_L11_passthrough_is_the_default_chain() -> None:
    listener = result_of(_tcp(1), passthrough=True).listener

    assert listener.default_filter_chain.name == "outbound-egress-filter-chain"


def test_R1_a_group_that_allows_nothing_has_no_route_but_the_refusal() -> None:
    policy = _tcp(80, "http", hosts=["foo.com"], matches=[group_match("gone")])
    (host,) = result_of(policy).routes["rds-egress.80"].virtual_hosts

    assert {route.name for route in host.routes} == {"refused"}


def test_R2_a_route_for_each_match() -> None:
    """Different in form: to the cluster itself, not to a weighted cluster of one."""
    policy = _tcp(80, "http", hosts=["foo.com"], matches=[group_match("g")])
    group = group_object("g", ("/foo", ["GET"]), ("/bar", ["POST"]))
    (host,) = result_of(policy, group).routes["rds-egress.80"].virtual_hosts
    found = [
        (
            r.match.safe_regex.regex,
            r.match.headers[0].string_match.safe_regex.regex,
            r.route.cluster,
        )
        for r in host.routes
        if r.HasField("route")
    ]

    assert found == [("/bar", "POST", "foo.com:80"), ("/foo", "GET", "foo.com:80")]
    assert {r.match.headers[0].name for r in host.routes if r.HasField("route")} == {":method"}


def test_R3_R5_a_configuration_for_each_port() -> None:
    routes = result_of(
        _tcp(80, "http", hosts=["foo.com", "bar.com"]), _tcp(90, "http", hosts=["baz.com"])
    ).routes

    assert {name: len(held.virtual_hosts) for name, held in routes.items()} == {
        "rds-egress.80": 2,
        "rds-egress.90": 1,
    }
    assert routes["rds-egress.80"].virtual_hosts[0].name == "egress_virtual-host|bar.com"


def test_R4_no_hosts_no_configuration() -> None:
    assert result_of(_tcp(80)).routes == {}


def test_D1_an_original_destination_cluster() -> None:
    cluster = result_of(_tcp(80)).clusters["80"]
    (thresholds,) = cluster.circuit_breakers.thresholds

    assert (cluster.type, cluster.lb_policy) == (Cluster.ORIGINAL_DST, Cluster.CLUSTER_PROVIDED)
    assert thresholds.track_remaining
    assert {
        thresholds.max_connections.value,
        thresholds.max_requests.value,
        thresholds.max_pending_requests.value,
        thresholds.max_retries.value,
    } == {UNLIMITED}


def test_D2_settings_override_the_breakers() -> None:
    setting = setting_object(maxConnections=5, connectTimeout="250ms")
    setting["spec"]["connectionSettings"]["http"] = {"maxRequestsPerConnection": 9}
    cluster = result_of(_tcp(80, matches=[setting_match()]), setting).clusters["80"]
    (packed,) = cluster.typed_extension_protocol_options.values()
    options = unpacked(packed, HttpProtocolOptions)

    assert cluster.connect_timeout.ToMilliseconds() == 250
    assert cluster.circuit_breakers.thresholds[0].max_connections.value == 5
    assert options.common_http_protocol_options.max_requests_per_connection.value == 9


def test_D3_D8_clusters_of_every_kind_are_included() -> None:
    result = result_of(_tcp(80, "http", hosts=["a.com", "b.com"]), _tcp(81))

    assert sorted(result.clusters) == ["81", "a.com:80", "b.com:80"]


def test_D4_D6_a_dns_cluster() -> None:
    cluster = result_of(_tcp(80, "http", hosts=["foo.com"])).clusters["foo.com:80"]
    (locality,) = cluster.load_assignment.endpoints
    (endpoint,) = locality.lb_endpoints
    address = endpoint.endpoint.address.socket_address

    # The same as STRICT_DNS, by the name that takes a TTL.
    assert cluster.cluster_type.name == "envoy.cluster.dns"
    assert cluster.lb_policy == Cluster.ROUND_ROBIN
    assert cluster.alt_stat_name == "foo_com_80"
    assert (address.address, address.port_value) == ("foo.com", 80)
    assert endpoint.load_balancing_weight.value == 100


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_D5_D7_what_is_incomplete_is_left_out_and_the_rest_is_built(protocol: str) -> None:
    """Different: no error can arise while clusters are built; a Problem has said it before."""
    result = result_of(
        _tcp(80, protocol, hosts=["", "http://x", "good.com"]),
        egress_object("no-port", hosts=["bad.com"], ports=[{"protocol": protocol}]),
        egress_object("no-name", hosts=["bad.com"], ports=[port(0, protocol)]),
    )

    assert list(result.clusters) == ["good.com:80"]
    assert len(result.clusters["good.com:80"].load_assignment.endpoints) == 1
    assert {problem.field for problem in result.problems} == {
        *("spec.hosts[0]", "spec.hosts[1]"),
        *("spec.ports", "spec.ports[0].number"),
    }


def test_D9_a_name_is_one_cluster() -> None:
    result = result_of(
        _tcp(80, "http", hosts=["foo.com"]), _tcp(80, "https", hosts=["foo.com"]), _tcp(80)
    )

    assert sorted(result.clusters) == ["80", "foo.com:80"]
