"""Policies that are broken, limited, or name hosts that do not exist."""

from __future__ import annotations

import pytest

from support.dataplane.policy import CUT, egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane


def test_trap_8_a_host_that_does_not_resolve_does_not_hold_up_the_start(outside: Rig) -> None:
    outside.manifests.apply(
        egress("gone", (80, "http"), hosts=["does-not-exist.test"]),
        egress("here", (443, "https"), hosts=["httpbin.org"]),
    )
    trusting = ("--cacert", str(outside.hosts.ca))
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)
    outside.sidecar.process.stop()
    outside.sidecar.process.start()

    outside.sidecar.until(
        outside.sidecar.admin.ready, bool, what="it is ready", within_s=READY_WITHIN_S
    )
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)
    until_curl(outside, "http://does-not-exist.test/", "--resolve", GONE, status=503)


READY_WITHIN_S = 10.0
"""Below the 15 s after which Envoy starts without what it waits for."""
GONE = "does-not-exist.test:80:10.20.0.15"


def test_trap_10_a_bad_regex_never_reaches_the_sidecar_and_its_siblings_work(
    outside: Rig,
) -> None:
    rejected = outside.towpath.metric("towpath_xds_nacks_total")
    policy = egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"])
    outside.manifests.apply(policy, route_group("g", "(", "/get", "(?<look>behind)"))
    until_curl(outside, "http://httpbin.org/get", status=200)

    assert outside.towpath.metric("towpath_xds_nacks_total") == rejected
    assert outside.towpath.metric("towpath_problems") >= 2


def test_connection_settings_reach_the_sidecar(outside: Rig) -> None:
    setting = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "limits", "namespace": "curl"},
        "spec": {
            "host": "httpbin.org",
            "connectionSettings": {"tcp": {"maxConnections": 3, "connectTimeout": "250ms"}},
        },
    }
    policy = egress("p", (443, "https"), hosts=["httpbin.org"], settings=["limits"])
    outside.manifests.apply(policy, setting)
    entry = outside.sidecar.until(
        lambda: outside.sidecar.admin.clusters().get("httpbin.org:443"), bool, what="the cluster"
    )
    assert entry is not None
    cluster = entry["cluster"]

    assert cluster["connect_timeout"] == "0.250s"
    assert cluster["circuit_breakers"]["thresholds"][0]["max_connections"] == 3


def test_a_policy_without_its_setting_opens_nothing(outside: Rig) -> None:
    outside.manifests.apply(
        egress("void", (80, "http"), hosts=["httpbin.org"], settings=["gone"]),
        egress("good", (443, "https"), hosts=["httpbin.org"]),
    )
    until_curl(outside, "https://httpbin.org/", "--cacert", str(outside.hosts.ca), status=200)
    until_curl(outside, "http://httpbin.org/", exits=CUT)
