"""Requests that a real Pipy judges with what it is sent: paths, expressions, hosts."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipy.conftest import Serve
from support.dataplane.clients import curl, curl_until
from support.dataplane.mesh import WITH_A_SERVICE, WITH_POLICIES
from support.dataplane.policy import egress, route_group
from support.pipy.agent import PipyPod

pytestmark = pytest.mark.pipy

HOST = "http://httpbin.org"
FOLDED = (
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/..%2fadmin",
    "/public/..%5cadmin",
    "/public/..;/admin",
    "/public//admin",
    "/public/..",
    "/public/x#/../admin",
    "/public/x?y#z",
    "/admin",
)


def start(stack: ExitStack, pod: PipyPod) -> None:
    agent = pod.child()
    agent.start()
    stack.callback(agent.stop)


def test_paths_are_judged_as_a_server_may_read_them(serve: Serve, stack: ExitStack) -> None:
    manifests, pod = serve(WITH_POLICIES)
    manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        route_group("g", "/public/.*"),
    )
    sidecar = pod("curl", "curl.curl")
    start(stack, sidecar)
    curl_until(sidecar.pod, f"{HOST}/public/x", status=200)
    assert 200 == curl(sidecar.pod, f"{HOST}/public/x?y=/../admin").status

    answers = {
        path: curl(sidecar.pod, HOST, "--path-as-is", "--request-target", path).status
        for path in FOLDED
    }
    assert dict.fromkeys(FOLDED, 403) == answers

    manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"]))
    curl_until(sidecar.pod, f"{HOST}/admin", status=200)
    assert 200 == curl(sidecar.pod, f"{HOST}/public/../admin", "--path-as-is").status
    assert 403 == curl(sidecar.pod, HOST, "--request-target", "/x#y").status


def test_an_expression_that_would_stop_it_does_not_reach_it(serve: Serve, stack: ExitStack) -> None:
    manifests, pod = serve(WITH_POLICIES)
    manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        route_group("g", "/(a+)+b", "/get"),
    )
    sidecar = pod("curl", "curl.curl")
    start(stack, sidecar)
    curl_until(sidecar.pod, f"{HOST}/get", status=200)

    assert 403 == curl(sidecar.pod, f"{HOST}/{'a' * 40}c").status
    assert 403 == curl(sidecar.pod, f"{HOST}/aab").status
    long = "/get?" + "a" * 14_000
    assert 200 == curl(sidecar.pod, f"{HOST}{long}").status
    assert 403 == curl(sidecar.pod, f"{HOST}/{'a/' * 7_000}").status


def test_in_the_mesh_the_dialled_address_chooses_whatever_the_host_is(
    serve: Serve, stack: ExitStack
) -> None:
    manifests, pod = serve(WITH_A_SERVICE)
    service = manifests.find("Service", "bookstore")
    address, port = service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]
    client = pod("curl", "curl.curl")
    start(stack, client)
    start(stack, pod("bookstore-0", "bookstore-0.bookstore", http_port=15907))
    url = f"http://{address}:{port}/"
    curl_until(client.pod, url, status=200)

    hosts = ("BOOKSTORE.bookstore", "other.example.org", "undefined", "")
    answers = {host: curl(client.pod, url, "--header", f"Host: {host}").status for host in hosts}
    assert dict.fromkeys(hosts, 200) == answers
