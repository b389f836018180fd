"""What is counted under which name, as docs/egress.md has it."""

from __future__ import annotations

import pytest

from support.dataplane.clients import curl
from support.dataplane.policy import egress, route_group, until_curl
from support.dataplane.rig import Rig
from support.dataplane.wait import equals
from support.deploy import named_statistics

pytestmark = pytest.mark.dataplane


def _counts(rig: Rig, name: str) -> int:
    return rig.sidecar.admin.stat(name)


def test_requests_are_counted_by_the_policies_that_allow_them(outside: Rig) -> None:
    hosts = ["httpbin.org"]
    outside.manifests.apply(
        egress("b", (80, "http"), hosts=hosts), egress("a", (80, "http"), hosts=hosts)
    )
    until_curl(outside, "http://httpbin.org/", status=200)
    name = "vhost.egress_virtual-host|httpbin.org.route.curl/a,curl/b.upstream_rq_200"

    assert _counts(outside, name) >= 1
    assert _counts(outside, "cluster.httpbin_org_80.upstream_rq_200") >= 1


def test_each_statistic_of_dashboards_and_alerts_exists_in_a_sidecar(outside: Rig) -> None:
    outside.manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"]),
        egress("s", (443, "https"), hosts=["httpbin.org"]),
    )
    until_curl(outside, "http://httpbin.org/", status=200)
    # What a histogram has counted is on the page a moment later.
    outside.sidecar.until(
        lambda: named_statistics() - outside.sidecar.admin.series(),
        lambda missing: not missing,
        what="every series that is named",
    )


def test_refusals_are_counted_by_port(outside: Rig) -> None:
    outside.manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        egress("s", (443, "https"), hosts=["httpbin.org"]),
        route_group("g", "/get"),
    )
    until_curl(outside, "http://httpbin.org/get", status=200)
    names = (
        "http.egress-http_80.no_route",
        "http.egress-http_80.rq_direct_response",
        "listener.0.0.0.0_15001.no_filter_chain_match",
    )
    before = [_counts(outside, name) for name in names]
    curl(outside.client, "http://openservicemesh.io/")
    curl(outside.client, "http://httpbin.org/other")
    curl(outside.client, "https://openservicemesh.io/")

    wanted = [count + 1 for count in before]
    outside.sidecar.until(
        lambda: [_counts(outside, name) for name in names], equals(wanted), what="one more of each"
    )


def test_connections_are_counted_by_chain(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (443, "https"), hosts=["httpbin.org"]))
    trusting = ("--cacert", str(outside.hosts.ca))
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)

    assert _counts(outside, "tcp.egress-https_443|httpbin_org.downstream_cx_total") >= 1


def test_a_request_is_logged_with_its_policies_and_a_refusal_as_such(outside: Rig) -> None:
    outside.manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"]), route_group("g", "/get")
    )
    until_curl(outside, "http://httpbin.org/get", status=200)
    curl(outside.client, "http://httpbin.org/other")
    outside.sidecar.until(
        lambda: {
            (line["route_name"], line["path"])
            for line in outside.sidecar.access_log()
            if line["log"] == "request"
        },
        lambda seen: {("curl/p", "/get"), ("refused", "/other")} <= seen,
        what="both requests are in the access log",
    )
