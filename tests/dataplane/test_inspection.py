"""Nobody is waited for where no policy needs what the client says, and as long as it takes where
one does.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from support.dataplane.clients import Address, greeted_after
from support.dataplane.hosts import BANNER_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import Document, egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

HTTPBIN, ELSEWHERE = OUTSIDE[0], OUTSIDE[5]
SILENT_S = 5.0
"""How long clients that take their time say nothing."""
POLICIES: tuple[Document, ...] = (
    egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
    egress("there", (443, "https"), hosts=["httpbin.org"], ranges=[f"{HTTPBIN}/32"]),
    route_group("g", "/get"),
)
ALLOWED = b"GET /get HTTP/1.1\r\nhost: httpbin.org\r\nconnection: close\r\n\r\n"
REFUSED = b"DELETE /admin HTTP/1.1\r\nhost: httpbin.org\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Late:
    """A client that connects, waits, then sends a request, or greets as a TLS client."""

    address: Address
    request: bytes = b""

    def outcome(self, connection: socket.socket, trust: ssl.SSLContext) -> str:
        if not self.request:
            return _greeted(connection, trust)
        connection.sendall(self.request)
        return connection.recv(100).partition(b"\r\n")[0].decode()


def _greeted(connection: socket.socket, trust: ssl.SSLContext) -> str:
    try:
        with trust.wrap_socket(connection, server_hostname="httpbin.org"):
            return "TLS"
    except OSError:
        return "cut"


@contextmanager
def _silent(rig: Rig, clients: Sequence[Late]) -> Iterator[list[socket.socket]]:
    """Connections of the clients, all of which outlived a long silence."""
    with ExitStack() as stack:
        opened = [stack.enter_context(rig.client.connect(*one.address)) for one in clients]
        heard, _, _ = select.select(opened, [], [], SILENT_S)
        assert [] == heard, "cut, or told something, before they spoke"
        yield opened


@pytest.mark.parametrize("passthrough", [True, False])
def test_who_speaks_late_is_judged_like_who_speaks_at_once(
    outside: Rig, *, passthrough: bool
) -> None:
    outside.manifests.apply(*POLICIES)
    outside.manifests.set_egress(on=passthrough)
    trusting = ("--cacert", str(outside.hosts.ca))
    until_curl(outside, "http://httpbin.org/get", status=200)
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)
    clients = (
        Late((HTTPBIN, 80), ALLOWED),
        Late((HTTPBIN, 80), REFUSED),
        Late((HTTPBIN, 443)),
        Late((ELSEWHERE, 443)),
    )

    with _silent(outside, clients) as opened:
        trust = ssl.create_default_context(cafile=str(outside.hosts.ca))
        outcomes = [
            client.outcome(connection, trust)
            for client, connection in zip(clients, opened, strict=True)
        ]

    assert outcomes == ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "TLS", "cut"]


def test_with_passthrough_a_server_that_speaks_first_is_heard_at_once(outside: Rig) -> None:
    outside.manifests.apply(*POLICIES)
    outside.manifests.set_egress(on=True)
    until_curl(outside, "http://httpbin.org/get", status=200)
    until_curl(outside, f"http://{ELSEWHERE}/", status=200)

    print(f"with passthrough: {greeted_after(outside.client, (HTTPBIN, BANNER_PORT)):.1f} ms")
    assert outside.sidecar.admin.stat("listener.0.0.0.0_15001.downstream_pre_cx_timeout") == 0
