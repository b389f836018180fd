"""What a real Envoy's access log says, read by `towpath observe`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from support.dataplane.clients import curl
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, route_group, until_curl
from support.dataplane.rig import Rig
from towpath.cli import main

pytestmark = pytest.mark.dataplane

HTTPBIN, ELSEWHERE = OUTSIDE[0], OUTSIDE[5]
Row = tuple[str, str, int, str, str, str]


def observed(rig: Rig) -> set[Row]:
    """The flows of the client's log: account, target, port, protocol, verdict and why."""
    words = ["observe", "--access-log", str(rig.sidecar.process.out)]
    words += ["--manifests", str(rig.manifests.folder), "-o", "json"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    return {
        (
            flow["serviceAccount"],
            flow["host"] or next(iter(flow["addresses"])),
            flow["port"],
            flow["protocol"],
            flow["verdict"],
            ",".join(flow["policies"]) or ("passthrough" if flow["passthrough"] else ""),
        )
        for flow in json.loads(done.stdout)["flows"]
    }


def test_a_real_log_says_what_left_and_what_was_refused_by_which_policy(outside: Rig) -> None:
    outside.manifests.apply(
        egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        egress("there", (443, "https"), hosts=["httpbin.org"], ranges=[f"{HTTPBIN}/32"]),
        route_group("g", "/get"),
    )
    outside.manifests.set_egress(on=True)
    until_curl(outside, f"http://{ELSEWHERE}:80/", status=200)
    until_curl(outside, "http://httpbin.org/get", status=200)
    trusting = ("--cacert", str(outside.hosts.ca))
    away = ("--resolve", f"httpbin.org:443:{ELSEWHERE}")
    curl(outside.client, "http://httpbin.org/other")
    curl(outside.client, "https://httpbin.org/", *trusting)
    curl(outside.client, "https://httpbin.org/", *away, *trusting)
    curl(outside.client, "https://openservicemesh.io/", *trusting)
    with outside.client.connect(ELSEWHERE, ECHO_PORT) as connection:
        connection.sendall(b"hello\n")
        assert b"hello\n" == connection.recv(100)
    who = "curl/curl"
    expected = {
        (who, "httpbin.org", 80, "http", "allow", "curl/paths"),
        (who, "httpbin.org", 80, "http", "deny", "curl/paths"),
        (who, "httpbin.org", 443, "https", "allow", "curl/there"),
        (who, "httpbin.org", 443, "https", "deny", "curl/there"),
        (who, "openservicemesh.io", 443, "https", "allow", "passthrough"),
        (who, ELSEWHERE, ECHO_PORT, "tcp", "allow", "passthrough"),
    }

    outside.sidecar.until(
        lambda: observed(outside), lambda rows: expected <= rows, what="the log says all of it"
    )
