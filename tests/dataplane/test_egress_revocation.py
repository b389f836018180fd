"""Taking a policy away: live HTTP connections at their next request, TCP after the drain."""

from __future__ import annotations

import socket
import time

import pytest

from support.dataplane.envoy import DRAIN_S
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, route_group, until_curl
from support.dataplane.rig import Rig
from support.dataplane.wait import equals, until

pytestmark = pytest.mark.dataplane


def _ask(connection: socket.socket, path: str) -> int:
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: httpbin.org\r\n\r\n".encode())
    answer = connection.recv(8192)
    return int(answer.split()[1]) if answer else 0


def test_a_narrowed_policy_holds_on_a_live_connection(outside: Rig) -> None:
    policy = egress("p", (80, "http"), hosts=["httpbin.org"], groups=["g"])
    outside.manifests.apply(policy, route_group("g", "/get", "/status"))
    until_curl(outside, "http://httpbin.org/status", status=200)
    with outside.client.connect(OUTSIDE[0], 80) as connection:
        assert _ask(connection, "/status") == 200
        outside.manifests.apply(policy, route_group("g", "/get"))
        until(lambda: _ask(connection, "/status"), equals(404), what="404")
        assert _ask(connection, "/get") == 200


def test_a_deleted_policy_is_revoked_on_a_live_connection(outside: Rig) -> None:
    """The chain and its routes go altogether; the connection lives on, and is refused."""
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"]))
    until_curl(outside, "http://httpbin.org/", status=200)
    with outside.client.connect(OUTSIDE[0], 80) as connection:
        assert _ask(connection, "/") == 200
        outside.manifests.withdraw()
        until(lambda: _ask(connection, "/"), equals(404), what="404")


def test_established_tcp_lives_until_the_sidecar_has_drained(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (ECHO_PORT, "tcp")))
    outside.sidecar.until(
        lambda: "outbound-listener" in outside.sidecar.admin.listeners(), bool, what="it listens"
    )
    with outside.client.connect(OUTSIDE[0], ECHO_PORT, within_s=DRAIN_S + 30) as connection:
        connection.sendall(b"before\n")
        assert connection.recv(100) == b"before\n"
        revoked = outside.manifests.withdraw()
        outside.sidecar.until(
            lambda: "outbound-listener" not in outside.sidecar.admin.listeners(),
            bool,
            what="the listener is gone",
        )
        connection.sendall(b"after\n")
        assert connection.recv(100) == b"after\n"
        assert connection.recv(100) == b""
    print(f"closed {time.perf_counter() - revoked:.1f} s after the policy; drain time {DRAIN_S} s")
