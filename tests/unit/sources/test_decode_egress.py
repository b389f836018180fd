"""Egress and what it refers to, decoded: bad input is a Problem, and never allows more."""

from __future__ import annotations

from typing import Any, cast

import pytest

from towpath.model.codes import Reason
from towpath.model.egress import Egress, HTTPRouteGroup, UpstreamTrafficSetting
from towpath.model.names import Account, Protocol
from towpath.model.problem import Problem
from towpath.sources.decode import Decoded, decode

GROUP = "specs.smi-spec.io/v1alpha4"
POLICY = "policy.openservicemesh.io/v1alpha1"
SOURCE = {"kind": "ServiceAccount", "name": "curl", "namespace": "curl"}
HTTP = {"number": 80, "protocol": "http"}


def _decode(kind: str, spec: dict[str, Any], *, version: str = POLICY) -> Decoded:
    raw = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "curl"}}
    return decode({**raw, "spec": spec}, "p.yaml:1")


def _egress(**spec: Any) -> tuple[Egress, tuple[Problem, ...]]:
    whole = {"sources": [SOURCE], "hosts": ["a.test"], "ports": [HTTP], **spec}
    found = _decode("Egress", {k: v for k, v in whole.items() if v is not None})
    return cast("Egress", found.value), found.problems


def _only(problems: tuple[Problem, ...]) -> Problem:
    (problem,) = problems
    assert problem.object.name == "x"
    assert problem.source == "p.yaml:1"
    return problem


def test_a_policy_as_open_service_mesh_writes_it() -> None:
    value, problems = _egress(
        hosts=["HTTPbin.org", "*.example.com"],
        ipAddresses=["10.0.0.0/8"],
        ports=[HTTP, {"number": 443, "protocol": "HTTPS"}],
        matches=[{"apiGroup": GROUP, "kind": "HTTPRouteGroup", "name": "g"}],
    )

    assert value.sources == (Account("curl", "curl"),)
    assert value.hosts == ("*.example.com", "httpbin.org")
    assert value.ranges == ("10.0.0.0/8",)
    assert value.ports == ((80, Protocol.HTTP), (443, Protocol.HTTPS))
    assert value.route_groups == ("g",)
    assert [p.field for p in problems] == ["spec.matches"]  # requests cannot be seen in https


@pytest.mark.parametrize(
    ("port", "field", "said"),
    [
        ({"number": 80, "protocol": "grpc"}, "protocol", '"grpc"; allowed: http, https, tcp'),
        ({"number": 80}, "protocol", "null; allowed: http, https, tcp, tcp-server-first"),
        ({"number": 0, "protocol": "http"}, "number", "0; allowed: an integer from 1 to 65535"),
        ({"number": 70000, "protocol": "http"}, "number", "70000; allowed: an integer from 1"),
        ({"number": "80", "protocol": "http"}, "number", '"80"; allowed: an integer'),
        ({"number": True, "protocol": "http"}, "number", "true; allowed: an integer"),
        ({"number": 15001, "protocol": "tcp"}, "number", "15001; allowed:"),
        ({"protocol": "http"}, "number", "null; allowed: an integer"),
    ],
)
def test_a_bad_port_is_left_out_alone(port: dict[str, Any], field: str, said: str) -> None:
    value, problems = _egress(ports=[{"number": 81, "protocol": "http"}, port])

    assert value.ports == ((81, Protocol.HTTP),)
    problem = _only(problems)
    assert problem.field == f"spec.ports[1].{field}"
    assert said in problem.message


@pytest.mark.parametrize(
    "host",
    [
        *("http://a.test", "a.test/path", "a.test:80", "*", "a*.test", "*a.test", "a.*.test"),
        *("::1", "[::1]", "", "a..test", "-a.test", "a" * 64 + ".test", "a b.test"),
    ],
)
def test_a_bad_host_is_left_out_and_the_others_stay(host: str) -> None:
    value, problems = _egress(hosts=["good.test", host])

    assert value.hosts == ("good.test",)
    problem = _only(problems)
    assert problem.field == "spec.hosts[1]"
    assert "allowed: a host name such as example.com" in problem.message


@pytest.mark.parametrize(
    ("host", "said"),
    [
        *(("http://a.test", '":"'), ("a.test/x", '"/"'), ("a b.test", '" "'), ("ü.test", '"ü"')),
        *(("a*.test", '"*"'), ("a.test:80", '":"'), ("a\n.test", r'"\n"')),
    ],
)
def test_a_message_says_which_character_no_host_has(host: str, said: str) -> None:
    _, problems = _egress(hosts=["good.test", host])

    assert f"no other wildcard); not allowed: {said}; it is left out" in _only(problems).message


def test_a_final_dot_and_underscores_are_of_a_name() -> None:
    value, problems = _egress(hosts=["HTTPbin.org.", "my_service.test", "*._tcp.my_service.test"])

    assert value.hosts == ("*._tcp.my_service.test", "httpbin.org", "my_service.test")
    assert problems == ()


def test_hosts_of_which_none_is_valid_match_nothing() -> None:
    value, problems = _egress(hosts=["http://a.test"])

    assert value.hosts == ()
    assert "it matches nothing" in problems[-1].message or "it matches nothing" in str(problems)


@pytest.mark.parametrize(
    "range_", ["10.0.0.0/33", "10.0.0.0", "300.0.0.0/8", "::1/128", "10.0.0.0/255.0.0.0", "x", ""]
)
def test_a_bad_range_never_means_any_address(range_: str) -> None:
    value, problems = _egress(ipAddresses=[range_])

    assert value.ranges == ()
    assert {p.field for p in problems} == {"spec.ipAddresses", "spec.ipAddresses[0]"}


@pytest.mark.parametrize("length", [0, 8, 24, 31])
def test_an_address_with_the_length_of_a_range_is_that_address_and_says_so(length: int) -> None:
    value, problems = _egress(ipAddresses=[f"10.20.0.11/{length}"])

    assert value.ranges == ("10.20.0.11/32",)
    problem = _only(problems)
    assert problem.field == "spec.ipAddresses[0]"
    assert "10.20.0.11/32 is used; if all are meant, say " in problem.message


@pytest.mark.parametrize("range_", ["0.0.0.0/0", "10.20.0.0/24", "10.20.0.11/32", "10.20.0.10/31"])
def test_a_range_as_it_is_written_is_that_range(range_: str) -> None:
    value, problems = _egress(ipAddresses=[range_])

    assert (value.ranges, problems) == ((range_,), ())


def test_the_place_of_an_item_is_that_in_the_list_as_it_was_written() -> None:
    _, problems = _egress(hosts=[7, "good.test", "a:80"])

    assert [problem.field for problem in problems] == ["spec.hosts[0]", "spec.hosts[2]"]


def test_http_without_hosts_is_left_out() -> None:
    value, problems = _egress(hosts=None, ports=[HTTP, {"number": 443, "protocol": "https"}])

    assert value.hosts is None
    assert value.ports == ((443, Protocol.HTTPS),)
    assert "http on port 80 needs spec.hosts" in _only(problems).message


@pytest.mark.parametrize(
    "match",
    [
        {"apiGroup": "x/v1", "kind": "HTTPRouteGroup", "name": "g"},
        {"apiGroup": GROUP, "kind": "TCPRoute", "name": "g"},
        {"apiGroup": GROUP, "kind": "HTTPRouteGroup"},
        {"kind": "HTTPRouteGroup", "name": "g"},
        {"apiGroup": POLICY, "kind": "HTTPRouteGroup", "name": "g"},
    ],
)
def test_a_match_of_the_wrong_kind_allows_no_request(match: dict[str, Any]) -> None:
    value, problems = _egress(matches=[match])

    assert value.route_groups == ()
    message = _only(problems).message
    assert f"HTTPRouteGroup of {GROUP} or UpstreamTrafficSetting of {POLICY}" in message


@pytest.mark.parametrize("matches", ["g", ["g"], [None], {"name": "g"}])
def test_matches_that_are_no_list_of_mappings_allow_no_request(matches: Any) -> None:
    value, problems = _egress(matches=matches)

    assert value.route_groups == ()
    assert problems


def test_an_empty_list_of_matches_is_none() -> None:
    value, problems = _egress(matches=[])

    assert value.route_groups is None
    assert problems == ()


def test_two_settings_make_the_policy_void() -> None:
    two = [{"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": n} for n in ("a", "b")]
    value, problems = _egress(matches=two)

    assert value.closed
    assert "Cannot have more than 1 UpstreamTrafficSetting match" in _only(problems).message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "Group"}, "spec.sources[0].kind"),
        ({"name": "Curl"}, "spec.sources[0].name"),
        ({"name": None}, "spec.sources[0].name"),
        ({"namespace": ""}, "spec.sources[0].namespace"),
        ({"mtls": {"issuer": "osm"}}, "spec.sources[0].mtls"),
    ],
)
def test_a_bad_source_speaks_for_nobody(change: dict[str, Any], field: str) -> None:
    value, problems = _egress(sources=[{**SOURCE, **change}])

    assert value.sources == ()
    assert field in {problem.field for problem in problems}


def test_an_unknown_field_names_the_nearest_known_one() -> None:
    _, problems = _egress(ipAdresses=["10.0.0.0/8"])

    assert "did you mean ipAddresses?" in _only(problems).message


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"pathRegex": "("}, "an RE2 expression of at most 1000 characters"),
        ({"pathRegex": "(?=x)"}, "an RE2 expression"),
        ({"pathRegex": "a" * 1001}, "an RE2 expression of at most 1000 characters"),
        ({"pathRegex": 7}, "a string"),
        ({"methods": ["GRAB"]}, "*, GET, HEAD"),
        ({"headers": [{"x": "["}]}, "an RE2 expression"),
        ({"headers": [{"x": 1}]}, "a string"),
    ],
)
def test_an_invalid_match_allows_nothing_and_its_siblings_stay(
    match: dict[str, Any], said: str
) -> None:
    good = {"name": "good", "pathRegex": "/get", "methods": ["GET"], "headers": [{"X-A": "1"}]}
    found = _decode("HTTPRouteGroup", {"matches": [{"name": "bad", **match}, good]}, version=GROUP)
    value = cast("HTTPRouteGroup", found.value)

    assert [m.path for m in value.matches] == ["/get"]
    assert value.matches[0].headers == (("x-a", "1"),)
    assert any(said in problem.message for problem in found.problems)


def test_a_match_without_restrictions_is_any_request() -> None:
    found = _decode(
        "HTTPRouteGroup", {"matches": [{"name": "all", "methods": ["*"]}]}, version=GROUP
    )
    value = cast("HTTPRouteGroup", found.value)

    assert value.matches[0].path == ".*"
    assert value.matches[0].methods == ()


def test_connection_settings_are_read() -> None:
    settings = {
        "tcp": {"maxConnections": 5, "connectTimeout": "1m2.5s"},
        "http": {"maxRequests": 1, "maxRequestsPerConnection": 2, "maxPendingRequests": 3},
    }
    spec = {"host": "a.test", "connectionSettings": settings}
    found = _decode("UpstreamTrafficSetting", spec)
    value = cast("UpstreamTrafficSetting", found.value)

    assert found.problems == ()
    assert value.settings.connect_timeout == 62.5
    assert (value.settings.max_connections, value.settings.max_requests) == (5, 1)
    assert value.settings.max_retries is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("httpHeaders", [{"name": "x-from", "rateLimit": {}}]),
    ],
)
def test_what_is_not_yet_supported_is_said_and_the_rest_is_used(field: str, value: object) -> None:
    connections = {"tcp": {"maxConnections": 5}}
    spec = {"host": "a.test", field: value, "connectionSettings": connections}
    found = _decode("UpstreamTrafficSetting", spec)
    problem = _only(found.problems)
    setting = cast("UpstreamTrafficSetting", found.value)

    assert (problem.field, problem.reason) == (f"spec.{field}", Reason.NOT_SUPPORTED)
    assert "not supported" in problem.message
    assert (setting.settings.max_connections, setting.closed) == (5, False)


@pytest.mark.parametrize("timeout", ["5", "-1s", "5 s", "2h", 5, "1x"])
def test_a_bad_duration_closes_the_policies_that_wanted_it_and_says_so(timeout: Any) -> None:
    spec = {"host": "a.test", "connectionSettings": {"tcp": {"connectTimeout": timeout}}}
    found = _decode("UpstreamTrafficSetting", spec)

    assert cast("UpstreamTrafficSetting", found.value).closed
    problem = _only(found.problems)
    assert problem.message.endswith("; nothing is let through that the setting limits")
