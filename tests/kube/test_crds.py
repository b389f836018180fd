"""Our CustomResourceDefinitions on a real API server: what it takes, what it refuses, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane.policy import egress, in_mesh, route_group
from support.kube.cluster import Cluster
from towpath.sources.decode import decode

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900)]

POLICY = "policy.openservicemesh.io/v1alpha1"
DEMO = Path(__file__).parents[2] / "deploy" / "demo"
SETTING = {"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": "a"}


def _spec(**change: Any) -> dict[str, Any]:
    document = egress("tried", (80, "http"), hosts=["httpbin.org"])
    document["spec"].update(change)
    document["spec"] = {key: value for key, value in document["spec"].items() if value is not None}
    return document


def _setting(connections: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": POLICY,
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "tried", "namespace": "curl"},
        "spec": {"host": "a.test", "connectionSettings": connections},
    }


def test_the_servers_version_is_the_one_that_was_built(cluster: Cluster) -> None:
    version = cluster.kubectl("version", "--output=json").json()

    assert version["serverVersion"]["gitVersion"] == "v1.36.3"


def test_rbac_refuses_an_identity_without_rights(cluster: Cluster) -> None:
    refused = cluster.kubectl("get", "egresses", "--namespace=curl", identity="stranger")

    assert refused.exit_code == 1
    assert 'User "stranger" cannot list resource "egresses"' in refused.error


def test_the_manuals_manifests_are_accepted(cluster: Cluster) -> None:
    documents = [
        egress("httpbin-80", (80, "http"), hosts=["httpbin.org"], groups=["egress-http-route"]),
        egress("httpbin-443", (443, "https"), hosts=["httpbin.org"]),
        egress("tcp-443", (443, "tcp")),
        route_group("egress-http-route", "/get", "/status.*"),
    ]
    applied = cluster.apply(*documents)

    assert applied.exit_code == 0, applied.error


def test_the_manuals_patch_of_the_meshconfig_works(cluster: Cluster) -> None:
    (config,) = yaml.safe_load_all((DEMO / "passthrough" / "meshconfig.yaml").read_text())
    assert cluster.apply(config).exit_code == 0
    change = '{"spec":{"traffic":{"enableEgress":true}}}'
    patched = cluster.kubectl(
        *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
        *("-p", change, "--type=merge"),
    )
    assert patched.exit_code == 0, patched.error
    held = cluster.kubectl(
        "get", "meshconfig", "osm-mesh-config", "-n", "osm-system", "-o", "json"
    ).json()

    assert held["spec"]["traffic"]["enableEgress"] is True
    assert held["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] is True


def test_fields_that_we_do_not_know_are_kept(cluster: Cluster) -> None:
    document = _spec()
    document["spec"]["sources"][0]["colour"] = "blue"
    assert cluster.apply(document).exit_code == 0
    held = cluster.kubectl("get", "egress", "tried", "-n", "curl", "-o", "json").json()

    assert held["spec"]["sources"][0]["colour"] == "blue"


@pytest.mark.parametrize("protocol", ["HTTP", "Https", "tcp", "TCP-server-first"])
def test_the_case_of_a_protocol_does_not_matter(cluster: Cluster, protocol: str) -> None:
    applied = cluster.apply(_spec(ports=[{"number": 80, "protocol": protocol}]))

    assert applied.exit_code == 0, applied.error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ports": [{"number": 80, "protocol": "grpc"}]}, "one of http, https, tcp, tcp-server-fi"),
        ({"ports": [{"number": 0, "protocol": "http"}]}, "should be greater than or equal to 1"),
        ({"ports": [{"number": 70000, "protocol": "http"}]}, "less than or equal to 65535"),
        ({"ports": [{"number": 15001, "protocol": "tcp"}]}, "other than 15001"),
        ({"ports": []}, "spec.ports"),
        ({"hosts": ["http://a.test"]}, "a host name such as example.com"),
        ({"hosts": ["a.test/path"]}, "a host name such as example.com"),
        ({"hosts": ["a*.test"]}, "a host name such as example.com"),
        ({"hosts": ["::1"]}, "a host name such as example.com"),
        ({"hosts": ["a" * 64 + ".test"]}, "a host name such as example.com"),
        ({"hosts": None}, "protocol http needs at least one host"),
        ({"ipAddresses": ["10.0.0.0/33"]}, "an IPv4 range such as 10.0.0.0/8"),
        ({"ipAddresses": ["10.0.0.0"]}, "an IPv4 range such as 10.0.0.0/8"),
        ({"ipAddresses": ["::1/128"]}, "an IPv4 range such as 10.0.0.0/8"),
        ({"sources": []}, "spec.sources"),
        (
            {"sources": [{"kind": "Group", "name": "x", "namespace": "z"}]},
            'supported values: "ServiceAccount"',
        ),
        ({"matches": [{"apiGroup": "invalid", "kind": "HTTPRouteGroup", "name": "x"}]}, POLICY),
        ({"matches": [{**SETTING, "kind": "HTTPRouteGroup"}]}, "or UpstreamTrafficSetting of"),
        ({"matches": [{"kind": "HTTPRouteGroup", "name": "x"}]}, "spec.matches[0].apiGroup"),
        ({"matches": [SETTING, SETTING]}, "Cannot have more than 1 UpstreamTrafficSetting match"),
        (
            {"matches": [SETTING, {**SETTING, "name": "b"}]},
            "Cannot have more than 1 UpstreamTrafficSetting match",
        ),
    ],
)
def test_bad_input_is_refused_with_a_message(
    cluster: Cluster, change: dict[str, Any], said: str
) -> None:
    refused = cluster.apply(_spec(**change))

    assert refused.exit_code == 1
    assert said in refused.error


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"pathRegex": "/("}, "missing closing )"),
        ({"pathRegex": "/(?=x)"}, "invalid or unsupported Perl syntax"),
        ({"pathRegex": "a" * 1001}, "may not be more than 1000"),
        ({"methods": ["GRAB"]}, "supported values"),
        ({"headers": ["x"]}, "expected map"),
    ],
)
def test_a_bad_request_match_is_refused(cluster: Cluster, match: dict[str, Any], said: str) -> None:
    group = route_group("tried", "/get")
    group["spec"]["matches"][0].update(match)
    refused = cluster.apply(group)

    assert refused.exit_code == 1
    assert said in refused.error


@pytest.mark.parametrize(
    ("timeout", "accepted"),
    [("5s", True), ("1m30s", True), ("1h", True), ("5", False), ("2h", False), ("1us", False)],
)
def test_a_timeout_is_a_duration_from_1ms_to_1h(
    cluster: Cluster, timeout: str, *, accepted: bool
) -> None:
    applied = cluster.apply(_setting({"tcp": {"connectTimeout": timeout}}))

    assert (applied.exit_code == 0) == accepted, applied.error
    assert ("allowed is a duration from 1ms to 1h" in applied.error) == (not accepted)


def test_a_limit_is_no_negative_number(cluster: Cluster) -> None:
    refused = cluster.apply(_setting({"tcp": {"maxConnections": -1}}))

    assert refused.exit_code == 1
    assert "should be greater than or equal to 0" in refused.error


LIMIT = {"requests": 3, "unit": "minute"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rateLimit": {"local": {"http": LIMIT, "tcp": {"connections": 1, "unit": "hour"}}}}, ""),
        ({"httpRoutes": [{"path": "/a.*", "rateLimit": {"local": LIMIT}}]}, ""),
        ({"rateLimit": {"local": {"http": {**LIMIT, "requests": 0}}}}, "equal to 1"),
        (
            {"rateLimit": {"local": {"http": {**LIMIT, "unit": "day"}}}},
            '"second", "minute", "hour"',
        ),
        ({"rateLimit": {"local": {"http": {"requests": 1}}}}, "unit: Required value"),
        ({"rateLimit": {"local": {"tcp": {"connections": "1", "unit": "hour"}}}}, "expected num"),
        ({"httpRoutes": [{"rateLimit": {"local": LIMIT}}]}, "path: Required value"),
        ({"connectionSettings": {"http": {"maxRequestsPerConnection": 0}}}, "equal to 1"),
    ],
)
def test_a_rate_limit_is_a_number_above_0_in_a_unit(
    cluster: Cluster, spec: dict[str, Any], said: str
) -> None:
    document = _setting({})
    document["spec"] = {"host": "web.curl.svc.cluster.local", **spec}
    applied = cluster.apply(document)

    assert (applied.exit_code == 0) == (not said), applied.error
    assert said in applied.error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"retryOn": "connect-failure, 503"}, ""),
        ({"perTryTimeout": "250ms", "retryBackoffBaseInterval": "1s"}, ""),
        ({"retryOn": "often"}, "allowed are conditions such as 5xx"),
        ({"retryOn": ""}, "at least 1 chars"),
        ({"numRetries": 0}, "equal to 1"),
        ({"numRetries": 101}, "equal to 100"),
        ({"perTryTimeout": "0s"}, "allowed is a duration from 1ms to 1h"),
        ({"retryBackoffBaseInterval": "-1s"}, "allowed is a duration from 1ms to 1h"),
    ],
)
def test_a_retry_says_what_failed_in_words_that_a_sidecar_knows(
    cluster: Cluster, change: dict[str, Any], said: str
) -> None:
    retry = in_mesh("tried")[-2]
    retry["spec"]["retryPolicy"] |= change
    applied = cluster.apply(retry)

    assert (applied.exit_code == 0) == (not said), applied.error
    assert said in applied.error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"sources": [{"kind": "Service", "name": "nginx", "namespace": "ingress"}]}, ""),
        ({"sources": [{"kind": "AuthenticatedPrincipal", "name": "a.b.cluster.local"}]}, ""),
        ({"sources": []}, "at least 1 items"),
        ({"sources": [{"kind": "Service", "name": "nginx"}]}, "a Service needs a namespace"),
        ({"sources": [{"kind": "IPRange", "name": "10.0.0.0/33"}]}, "an IPv4 range such as"),
        ({"sources": [{"kind": "IPRange", "name": "::/0"}]}, "an IPv4 range such as"),
        ({"sources": [{"kind": "Pod", "name": "x"}]}, "supported values"),
        ({"backends": [{"name": "web", "port": {"number": 0, "protocol": "http"}}]}, "equal to 1"),
        ({"backends": [{"name": "web", "port": {"number": 1, "protocol": "x"}}]}, "supported val"),
    ],
)
def test_an_ingress_backend_says_who_may_call_where(
    cluster: Cluster, change: dict[str, Any], said: str
) -> None:
    document = in_mesh("tried")[-1]
    document["spec"] |= change
    applied = cluster.apply(document)

    assert (applied.exit_code == 0) == (not said), applied.error
    assert said in applied.error


def test_tls_without_a_certificate_is_refused(cluster: Cluster) -> None:
    document = in_mesh("tried")[-1]
    document["spec"]["backends"][0]["tls"] = {"skipClientCertValidation": True}
    refused = cluster.apply(document)

    assert refused.exit_code == 1
    assert "skipClientCertValidation" in refused.error


def test_a_meshconfig_says_which_values_are_allowed(cluster: Cluster) -> None:
    (config,) = yaml.safe_load_all((DEMO / "passthrough" / "meshconfig.yaml").read_text())
    config["metadata"]["name"] = "tried"
    config["spec"]["sidecar"] = {"logLevel": "loud", "sidecarClass": "pipy"}
    refused = cluster.apply(config)

    assert refused.exit_code == 1
    assert 'spec.sidecar.logLevel: Unsupported value: "loud"' in refused.error


def test_a_status_is_written_apart_from_the_policy(cluster: Cluster) -> None:
    assert cluster.apply(_spec()).exit_code == 0
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = yaml.safe_dump({"status": {"conditions": [condition]}})
    written = cluster.kubectl(
        *("patch", "egress", "tried", "-n", "curl", "--subresource=status"),
        *("--type=merge", "--patch", status),
    )
    assert written.exit_code == 0, written.error
    shown = cluster.kubectl("get", "egress", "tried", "-n", "curl").out.splitlines()

    assert shown[0].split() == ["NAME", "HOSTS", "PORTS", "ACCEPTED", "PROGRAMMED", "AGE"]
    assert shown[1].split()[:4] == ["tried", '["httpbin.org"]', "80", "True"]


def test_v1_a_match_of_another_group_is_refused_with_both_that_are_allowed(
    cluster: Cluster,
) -> None:
    match = {"apiGroup": "invalid", "kind": "HTTPRouteGroup", "name": "x"}
    refused = cluster.apply(_spec(matches=[match]))

    assert refused.exit_code == 1
    assert "HTTPRouteGroup of specs.smi-spec.io/v1alpha4" in refused.error
    assert f"UpstreamTrafficSetting of {POLICY}" in refused.error


def test_v2_v3_one_match_of_each_kind_is_accepted(cluster: Cluster) -> None:
    group = {"apiGroup": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "name": "x"}
    for matches in ([group], [SETTING], [group, SETTING]):
        applied = cluster.apply(_spec(matches=matches))

        assert applied.exit_code == 0, applied.error


def test_what_no_schema_can_say_is_a_problem_of_what_was_accepted(cluster: Cluster) -> None:
    """A path expression that sidecars would not take; a reference to nothing is in test_status."""
    assert cluster.apply(route_group("costly", "/(abcdefgh|ijklmnop){100}")).exit_code == 0
    held = cluster.kubectl("get", "httproutegroup", "costly", "-n", "curl", "-o", "json").json()
    found = {problem.field: problem.message for problem in decode(held, "").problems}

    assert "compiles to at most 1000 steps" in found["spec.matches[0].pathRegex"]
