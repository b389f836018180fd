"""Requests that servers read otherwise than they are written, and those without a path."""

from __future__ import annotations

import socket

import pytest

from support.dataplane.clients import curl
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

HTTPBIN = OUTSIDE[0]
FOLDED = (
    *("/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public/..\\admin"),
    *("/public/..;/admin", "/public//admin", "/public/%252e%252e/admin", "/public/."),
)


def _say(rig: Rig, request: bytes) -> bytes:
    with rig.client.connect(HTTPBIN, 80) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def _get(path: str, host: str = "httpbin.org") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()


def test_a_path_that_a_server_folds_passes_no_rule_about_paths(outside: Rig) -> None:
    outside.manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
        route_group("g", "/public/.*"),
    )
    until_curl(outside, "http://httpbin.org/public/x", status=200)

    for path in FOLDED:
        answer = _say(outside, _get(path))
        assert answer.startswith(b"HTTP/1.1 404"), path
        assert b"a path that servers may normalize needs a rule for any path" in answer
    assert _say(outside, _get("/public/?x=/../;")).startswith(b"HTTP/1.1 200")
    assert _say(outside, _get("/public/..x/.well-known")).startswith(b"HTTP/1.1 200")


def test_without_rules_about_paths_every_byte_of_them_arrives(outside: Rig) -> None:
    outside.manifests.apply(
        egress("one", (80, "http"), hosts=["httpbin.org"]),
        egress("two", (80, "http"), hosts=["openservicemesh.io"], groups=["g"]),
        route_group("g", "/only", ".*"),
    )
    until_curl(outside, "http://httpbin.org/", status=200)

    for path in FOLDED:
        for host in ("httpbin.org", "openservicemesh.io"):
            answer = _say(outside, _get(path, host))
            assert answer.startswith(b"HTTP/1.1 200"), (host, path)


def test_connect_goes_to_a_host_that_a_policy_names(outside: Rig) -> None:
    outside.manifests.apply(
        egress("p", (80, "http"), hosts=["httpbin.org"]),
        egress("q", (80, "http"), hosts=["openservicemesh.io"], groups=["g"]),
        route_group("g", "/.*"),
    )
    until_curl(outside, "http://httpbin.org/", status=200)

    with outside.client.connect(HTTPBIN, 80) as connection:
        connection.sendall(b"CONNECT httpbin.org:80 HTTP/1.1\r\nhost: httpbin.org:80\r\n\r\n")
        assert _until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    refused = _say(outside, b"CONNECT openservicemesh.io:80 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 404")


def test_a_host_with_a_final_dot_is_the_same_host(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org", "*.wild.test"]))
    until_curl(outside, "http://httpbin.org/", status=200)

    for host in ("httpbin.org.", "httpbin.org.:80", "HTTPBIN.org.", "a.wild.test."):
        assert _say(outside, _get("/", host)).startswith(b"HTTP/1.1 200"), host
    assert curl(outside.client, "http://httpbin.org/", "-H", "host: httpbin.org..").status == 404


def test_a_name_with_an_underscore_is_a_name(outside: Rig) -> None:
    hosts = ["my_service.wild.test", "*.fast.test"]
    outside.manifests.apply(egress("p", (80, "http"), hosts=hosts))

    for host in ("my_service.wild.test", "my_service.fast.test"):
        address = ("--resolve", f"{host}:80:{HTTPBIN}")
        until_curl(outside, f"http://{host}/", *address, status=200)


def _until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        more = connection.recv(4096)
        assert more, received
        received += more
    return received
