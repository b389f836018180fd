"""Rows C, T, S and V: what policies add up to."""

from __future__ import annotations

from support.egress_yaml import (
    POLICY,
    Result,
    egress_object,
    group_match,
    group_object,
    port,
    result_of,
    setting_match,
    setting_object,
)
from towpath.model.names import Account
from towpath.planning import outbound
from towpath.planning.egress.rules import setting_of


def _hosts(result: Result, number: int) -> list[str]:
    """The hosts with routes on a port."""
    address_ranges = [
        address_range
        for p in result.plan.egress.ports
        if p.number == number
        for address_range in p.address_ranges
    ]
    return [host.host for address_range in address_ranges for host in address_range.hosts or ()]


def _paths(result: Result) -> list[tuple[str, tuple[str, ...]]]:
    address_ranges = [
        address_range for p in result.plan.egress.ports for address_range in p.address_ranges
    ]
    hosts = [host for address_range in address_ranges for host in address_range.hosts or ()]
    return [(r.match.path, r.match.methods) for host in hosts for r in host.routes]


def test_C1_http_policies_on_two_ports() -> None:
    result = result_of(
        egress_object("a", hosts=["foo.com"], ports=[port(80, "http")]),
        egress_object("b", hosts=["bar.com"], ports=[port(80, "http")]),
        egress_object("c", hosts=["baz.com"], ports=[port(90, "http")]),
    )

    assert sorted(result.chains) == ["egress-http.80", "egress-http.90"]
    assert _hosts(result, 80) == ["bar.com", "foo.com"]
    assert _hosts(result, 90) == ["baz.com"]
    assert sorted(result.clusters) == ["bar.com:80", "baz.com:90", "foo.com:80"]
    domains = result.routes["rds-egress.80"].virtual_hosts[1].domains
    assert list(domains) == ["foo.com", "foo.com:80", "foo.com.", "foo.com.:80"]
    assert [p for p, _ in _paths(result)] == [".*", ".*", ".*"]


def test_C2_http_and_tcp_in_one_policy() -> None:
    result = result_of(
        egress_object("a", hosts=["foo.com"], ports=[port(80, "http"), port(100, "tcp")]),
        egress_object("b", hosts=["bar.com"], ports=[port(80, "http")]),
    )

    assert sorted(result.chains) == ["egress-http.80", "egress-tcp.100"]
    assert list(result.routes) == ["rds-egress.80"]
    assert sorted(result.clusters) == ["100", "bar.com:80", "foo.com:80"]


def test_C3_T5_https_and_tcp_on_one_port() -> None:
    """Different: https has a DNS cluster of its own; tcp keeps the address."""
    result = result_of(
        egress_object("a", hosts=["foo.com"], ports=[port(100, "https")]),
        egress_object("b", ports=[port(100, "tcp")]),
    )

    assert "egress-https.100|foo.com" in result.chains
    assert "egress-tcp.100" in result.chains
    assert result.routes == {}
    assert sorted(result.clusters) == ["100", "foo.com:100"]


def test_C4_a_setting_is_its_clusters() -> None:
    policy = egress_object(hosts=["foo.com"], ports=[port(100, "https")], matches=[setting_match()])
    result = result_of(policy, setting_object(maxConnections=3))

    thresholds = result.clusters["foo.com:100"].circuit_breakers.thresholds
    assert thresholds[0].max_connections.value == 3


def test_C5_a_missing_setting_drops_the_policy() -> None:
    policy = egress_object(hosts=["foo.com"], ports=[port(100, "https")], matches=[setting_match()])
    result = result_of(policy)

    assert (result.chains, result.clusters, result.routes) == ({}, {}, {})
    assert any("does not exist" in problem.message for problem in result.problems)


def test_C6_hosts_without_matches_take_any_request() -> None:
    result = result_of(egress_object(hosts=["foo.com", "bar.com"], ports=[port(80, "http")]))

    assert _paths(result) == [(".*", ()), (".*", ())]
    assert sorted(result.clusters) == ["bar.com:80", "foo.com:80"]


def test_C7_C10_all_matches_of_all_groups() -> None:
    matches = [group_match("route-1"), group_match("route-2")]
    policy = egress_object(hosts=["foo.com"], ports=[port(80, "http")], matches=matches)
    result = result_of(
        policy,
        group_object("route-1", ("/foo", ["GET"])),
        group_object("route-2", ("/bar", ["GET"])),
    )

    assert _paths(result) == [("/bar", ("GET",)), ("/foo", ("GET",))]
    assert list(result.clusters) == ["foo.com:80"]


def test_C8_ranges_on_http_restrict_the_address() -> None:
    """Different: the address is kept, and judged before the host."""
    result = result_of(
        egress_object(
            hosts=["foo.com"],
            ports=[port(80, "http")],
            ipAddresses=["1.1.1.1/32", "10.0.0.0/24"],
            matches=[group_match("g")],
        ),
        group_object("g", ("/foo", ["GET"])),
    )

    # One chain for all ranges of the same policies, named for the first.
    (chain,) = result.chains.values()
    ranges = chain.filter_chain_match.prefix_ranges
    assert chain.name == "egress-http.80|1.1.1.1/32"
    assert [(r.address_prefix, r.prefix_len.value) for r in ranges] == [
        ("1.1.1.1", 32),
        ("10.0.0.0", 24),
    ]
    assert list(result.clusters) == ["80"]


def test_C9_a_setting_holds_for_every_host() -> None:
    policy = egress_object(
        hosts=["foo.com", "bar.com"], ports=[port(80, "http")], matches=[setting_match()]
    )
    result = result_of(policy, setting_object(maxConnections=4))

    found = {
        c.circuit_breakers.thresholds[0].max_connections.value for c in result.clusters.values()
    }
    assert found == {4}
    assert [p for p, _ in _paths(result)] == [".*", ".*"]


def test_C11_no_groups_no_restriction() -> None:
    result = result_of(egress_object(hosts=["foo.com"], ports=[port(80, "http")], matches=[]))

    assert _paths(result) == [(".*", ())]


def test_T1_T7_equal_policies_are_one() -> None:
    once = egress_object("a", hosts=["foo.com"], ports=[port(80, "http")])
    twice = egress_object("b", hosts=["foo.com"], ports=[port(80, "http")])

    assert result_of(once, twice).chains.keys() == result_of(once).chains.keys()
    assert list(result_of(once, twice).clusters) == ["foo.com:80"]


def test_T2_T3_other_ports_and_protocols_are_others() -> None:
    result = result_of(
        egress_object(
            hosts=["foo.com"], ports=[port(80, "http"), port(90, "http"), port(91, "tcp")]
        )
    )

    assert len(result.chains) == 3


def test_T4_T6_the_order_of_ranges_does_not_matter() -> None:
    ranges = ["10.0.0.0/24", "8.8.8.8/32"]
    one = egress_object("a", ports=[port(80, "tcp")], ipAddresses=ranges)
    two = egress_object("a", ports=[port(80, "tcp")], ipAddresses=ranges[::-1])

    assert result_of(one).plan == result_of(two).plan
    assert list(result_of(one).clusters) == ["80"]


def test_T8_other_hosts_are_other_clusters() -> None:
    result = result_of(egress_object(hosts=["foo.com", "bar.com"], ports=[port(80, "http")]))

    assert len(result.clusters) == 2


def test_S1_S2_a_policy_speaks_for_its_sources() -> None:
    sources = [
        {"kind": "ServiceAccount", "name": name, "namespace": "test"} for name in ("sa-1", "sa-2")
    ]
    result = result_of(egress_object(hosts=["a.com"], ports=[port(80, "http")], sources=sources))

    assert result.plan.egress.ports
    assert outbound(result.mesh, Account("test", "sa-2")) == result.plan
    assert not outbound(result.mesh, Account("test", "sa-3")).egress.ports


def test_S3_settings_are_found_by_namespace_and_name() -> None:
    policy = egress_object(hosts=["a.com"], ports=[port(80, "http")], matches=[setting_match()])
    elsewhere = setting_object()
    elsewhere["metadata"]["namespace"] = "other"
    held = [
        p for p in result_of(policy, setting_object()).mesh.objects.values() if p.kind == "Egress"
    ]

    assert setting_of(result_of(policy, setting_object()).mesh, held[0]) is not None  # type: ignore[arg-type]
    assert setting_of(result_of(policy, elsewhere).mesh, held[0]) is None  # type: ignore[arg-type]


def test_V1_an_unknown_group_names_the_two_that_are_allowed() -> None:
    match = {"apiGroup": "invalid", "kind": "HTTPRouteGroup", "name": "x"}
    result = result_of(egress_object(hosts=["a.com"], ports=[port(80, "http")], matches=[match]))

    (problem,) = result.problems
    assert "specs.smi-spec.io/v1alpha4" in problem.message
    assert POLICY in problem.message


def test_V2_V3_known_groups_are_accepted() -> None:
    matches = [group_match("g"), setting_match()]
    policy = egress_object(hosts=["a.com"], ports=[port(80, "http")], matches=matches)

    assert result_of(policy, group_object("g", ("/", [])), setting_object()).problems == ()


def test_V4_two_settings_are_refused() -> None:
    matches = [setting_match("a"), setting_match("b")]
    policy = egress_object(hosts=["a.com"], ports=[port(80, "http")], matches=matches)
    result = result_of(policy, setting_object("a"), setting_object("b"))

    assert result.chains == {}
    assert any("Cannot have more than 1" in problem.message for problem in result.problems)
