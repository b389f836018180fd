"""Rows G: what nobody tested, and the matrix of policies and passthrough."""

from __future__ import annotations

import pytest

from support.egress_yaml import (
    Result,
    egress_object,
    group_match,
    group_object,
    port,
    result_of,
    setting_match,
    setting_object,
)
from towpath.answers.explain import parse_attempt
from towpath.model.codes import Reason
from towpath.planning.egress.decide import decide


def _allowed(result: Result, target: str, *, address: str | None = None) -> bool:
    return decide(result.plan, parse_attempt(target, address=address)).allowed


@pytest.mark.parametrize("protocol", ["HTTP", "Http", "http"])
def test_G1_the_case_of_a_protocol_does_not_matter(protocol: str) -> None:
    result = result_of(egress_object(hosts=["a.com"], ports=[port(80, protocol)]))

    assert list(result.chains) == ["egress-http.80"]
    assert result.problems == ()


def test_G2_one_host_in_two_policies_has_one_virtual_host_with_both_routes() -> None:
    groups = [group_object("g", ("/a", [])), group_object("h", ("/b", []))]
    policies = [
        egress_object(name, hosts=["a.com"], ports=[port(80, "http")], matches=[group_match(group)])
        for name, group in (("one", "g"), ("two", "h"))
    ]
    (host,) = result_of(*policies, *groups).routes["rds-egress.80"].virtual_hosts

    assert [r.name for r in host.routes if r.HasField("route")] == ["test/one", "test/two"]
    assert host.routes[-1].name == "refused"


def test_G3_a_missing_group_denies() -> None:
    policy = egress_object(hosts=["a.com"], ports=[port(80, "http")], matches=[group_match("gone")])
    result = result_of(policy)

    assert not _allowed(result, "http://a.com/")
    assert [problem.reason for problem in result.problems] == [Reason.MISSING]


def test_G4_ranges_that_are_all_invalid_match_nothing() -> None:
    result = result_of(egress_object(ports=[port(443, "tcp")], ipAddresses=["10.0.0.0/99"]))

    assert result.chains == {}
    assert result.problems


def test_G5_the_same_source_twice_is_once() -> None:
    source = {"kind": "ServiceAccount", "name": "sa-1", "namespace": "test"}
    ports = [port(80, "http")]
    twice = result_of(egress_object(hosts=["a.com"], ports=ports, sources=[source, source]))

    assert twice.plan == result_of(egress_object(hosts=["a.com"], ports=ports)).plan


def test_G6_a_policy_in_another_namespace_works() -> None:
    policy = egress_object(hosts=["a.com"], ports=[port(80, "http")], namespace="other")

    assert _allowed(result_of(policy), "http://a.com/")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_G7_a_wildcard_host_takes_every_name_below_and_not_the_apex(scheme: str) -> None:
    number = 80 if scheme == "http" else 443
    result = result_of(egress_object(hosts=["*.a.com"], ports=[port(number, scheme)]))

    assert _allowed(result, f"{scheme}://x.a.com/")
    assert _allowed(result, f"{scheme}://y.x.a.com/")
    assert not _allowed(result, f"{scheme}://a.com/")
    assert not _allowed(result, f"{scheme}://xa.com/")


def test_G8_https_without_hosts_takes_any_server_name() -> None:
    result = result_of(egress_object(ports=[port(443, "https")]))

    assert _allowed(result, "https://any.com/")
    assert not _allowed(result, "any.com:443")
    assert list(result.chains) == ["egress-https.443"]


def test_G9_http_without_hosts_allows_nothing() -> None:
    result = result_of(egress_object(ports=[port(80, "http")]))

    assert result.chains == {}
    assert any("needs spec.hosts" in problem.message for problem in result.problems)


def test_G10_two_settings_on_one_port_are_a_conflict_and_one_holds() -> None:
    result = result_of(
        egress_object("a", ports=[port(443, "tcp")], matches=[setting_match("x")]),
        egress_object("b", ports=[port(443, "tcp")], matches=[setting_match("y")]),
        setting_object("x", maxConnections=1),
        setting_object("y", maxConnections=2),
    )

    assert [problem.object.name for problem in result.problems] == ["y"]
    assert result.clusters["443"].circuit_breakers.thresholds[0].max_connections.value == 1


POLICIES = (
    egress_object("h", hosts=["a.com"], ports=[port(80, "http")], matches=[group_match("g")]),
    egress_object("s", hosts=["a.com"], ports=[port(443, "https")], ipAddresses=["10.0.0.0/8"]),
    group_object("g", ("/get", [])),
)


@pytest.mark.parametrize(
    ("target", "address", "alone", "beside_passthrough"),
    [
        ("http://a.com/get", "10.1.1.1", True, True),
        ("http://a.com/other", "10.1.1.1", False, False),  # named: its other paths are refused
        ("http://b.com/", "10.1.1.1", False, True),  # OSM answers 404 here with both on
        ("https://a.com/", "10.1.1.1", True, True),
        ("https://a.com/", "192.0.2.1", False, False),  # named, at another address
        ("https://b.com/", "192.0.2.1", False, True),
        ("http://a.com:8080/", "10.1.1.1", False, True),  # a port of which no policy speaks
        ("192.0.2.1:22", "192.0.2.1", False, True),
    ],
)
def test_G11_the_matrix_of_policies_and_passthrough(
    target: str, address: str, *, alone: bool, beside_passthrough: bool
) -> None:
    assert _allowed(result_of(*POLICIES), target, address=address) == alone
    both = result_of(*POLICIES, passthrough=True)
    assert _allowed(both, target, address=address) == beside_passthrough


def test_G11_without_anything_allowed_nobody_listens() -> None:
    assert result_of().chains == {}
    assert not _allowed(result_of(), "http://a.com/")
