"""What real Envoys report to the control plane, and what becomes of traffic meanwhile."""

from __future__ import annotations

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, route_group, until_curl
from support.dataplane.reports import observe, reported
from support.dataplane.rig import Rig
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

HTTPBIN, ELSEWHERE = OUTSIDE[0], OUTSIDE[5]
WHO = "curl/curl"


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: what is reported does not go by it."""
    return Transport.SOTW


def test_sidecars_report_names_and_verdicts_and_no_path(outside: Rig) -> None:
    observe(outside, "reports")
    outside.manifests.set_egress(on=True)
    until_curl(outside, f"http://{ELSEWHERE}:80/", status=200)
    trusting = ("--cacert", str(outside.hosts.ca))
    curl(outside.client, "http://httpbin.org/get?secret=1")
    curl(outside.client, "https://httpbin.org/", *trusting)
    with outside.client.connect(ELSEWHERE, ECHO_PORT) as connection:
        connection.sendall(b"hello\n")
        assert b"hello\n" == connection.recv(100)
    passed = {
        (WHO, "httpbin.org", 80, "http", "allow", "passthrough"),
        (WHO, "httpbin.org", 443, "https", "allow", "passthrough"),
        (WHO, ELSEWHERE, ECHO_PORT, "tcp", "allow", "passthrough"),
    }
    outside.sidecar.until(
        lambda: reported(outside), lambda flows: passed <= flows, what="all of it is reported"
    )

    outside.manifests.apply(
        egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        egress("there", (443, "https"), hosts=["httpbin.org"], ranges=[f"{HTTPBIN}/32"]),
        route_group("g", "/get"),
    )
    outside.manifests.set_egress(on=False)
    until_curl(outside, "http://openservicemesh.io/", status=404)
    away = ("--resolve", f"httpbin.org:443:{ELSEWHERE}")
    curl(outside.client, "http://httpbin.org/get")
    curl(outside.client, "http://httpbin.org/other")
    curl(outside.client, "https://httpbin.org/", *trusting)
    curl(outside.client, "https://httpbin.org/", *away, *trusting)
    curl(outside.client, "https://openservicemesh.io/", *trusting)
    judged = {
        (WHO, "httpbin.org", 80, "http", "allow", "curl/paths"),
        (WHO, "httpbin.org", 80, "http", "deny", "curl/paths"),
        (WHO, "httpbin.org", 443, "https", "allow", "curl/there"),
        (WHO, "openservicemesh.io", 80, "http", "deny", ""),
        (WHO, "openservicemesh.io", 443, "https", "deny", ""),
    }
    outside.sidecar.until(
        lambda: reported(outside), lambda flows: judged <= flows, what="verdicts are reported"
    )
    observe(outside, "disabled")
