"""The manual's demo of egress policies, step by step (E0 to E18), with what it prints."""

from __future__ import annotations

import pytest

from support.dataplane.policy import REFUSED, egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

HTTP = "http://httpbin.org:80/get"
HTTPS = "https://httpbin.org:443/get"
OTHER = "https://openservicemesh.io:443"
STATUS = "http://httpbin.org:80/status/200"


def _trusting(rig: Rig) -> tuple[str, ...]:
    return ("--head", "--cacert", str(rig.hosts.ca))


def test_e0_to_e4_http(outside: Rig) -> None:
    until_curl(outside, HTTP, "--head", exits=REFUSED)
    outside.manifests.apply(egress("httpbin-80", (80, "http"), hosts=["httpbin.org"]))
    until_curl(outside, HTTP, "--head", status=200)
    outside.manifests.withdraw()
    until_curl(outside, HTTP, "--head", exits=REFUSED)


def test_e5_to_e8_https(outside: Rig) -> None:
    until_curl(outside, HTTPS, *_trusting(outside), exits=REFUSED)
    outside.manifests.apply(egress("httpbin-443", (443, "https"), hosts=["httpbin.org"]))
    until_curl(outside, HTTPS, *_trusting(outside), status=200)
    outside.manifests.withdraw()
    until_curl(outside, HTTPS, *_trusting(outside), exits=REFUSED)


def test_e9_to_e12_tcp(outside: Rig) -> None:
    until_curl(outside, OTHER, *_trusting(outside), exits=REFUSED)
    outside.manifests.apply(egress("tcp-443", (443, "tcp")))
    until_curl(outside, OTHER, *_trusting(outside), status=200)
    until_curl(outside, HTTPS, *_trusting(outside), status=200)
    outside.manifests.withdraw()
    until_curl(outside, OTHER, *_trusting(outside), exits=REFUSED)


def test_e13_to_e18_smi_routes(outside: Rig) -> None:
    until_curl(outside, HTTP, "--head", exits=REFUSED)
    until_curl(outside, STATUS, "--head", exits=REFUSED)
    policy = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"], groups=["egress-http-route"])
    outside.manifests.apply(policy, route_group("egress-http-route", "/get"))
    until_curl(outside, HTTP, "--head", status=200)
    until_curl(outside, STATUS, "--head", status=404)
    outside.manifests.apply(policy, route_group("egress-http-route", "/get", "/status.*"))
    until_curl(outside, STATUS, "--head", status=200)
