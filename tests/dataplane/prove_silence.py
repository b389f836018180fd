"""A sidecar ends nothing for its silence: more than five minutes of it, on a real Envoy.

The gate does not collect this file, as its name is no `test_*.py`; `make prove` names it. Five
minutes are Envoy's shortest default that ends a silent stream; those of an hour are not waited out.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

import pytest

from dataplane.conftest import OpenMesh
from support.dataplane.clients import Address
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress
from support.dataplane.rig import Rig
from support.dataplane.wait import until
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

SILENCE_S = 330.0
"""Longer than Envoy's five minutes, and than the machine may be late."""

HTTP, TCP, OTHER_TCP, HTTPS = 9300, 9301, 9302, 9303
HTTP_SERVICE, TCP_SERVICE = ("10.96.0.28", 80), ("10.96.0.29", 81)
SWITCHES = {
    "traffic": {"enableEgress": True},
    "featureFlags": {"enableEgressPolicy": True},
}
POLICIES = (
    egress("http", (HTTP, "http"), hosts=["httpbin.org"]),
    egress("https", (HTTPS, "https"), hosts=["httpbin.org"]),
    egress("tcp", (TCP, "tcp"), ranges=[f"{OUTSIDE[3]}/32"]),
)


@dataclass(frozen=True, slots=True)
class Route:
    """A way through one sidecar or two: where the client dials, and the port of its server."""

    address: Address
    port: int
    host: str = "bookstore.bookstore"
    in_mesh: bool = False


HTTP_ROUTES = {
    "in the mesh": Route(HTTP_SERVICE, HTTP, in_mesh=True),
    "by a policy": Route((OUTSIDE[0], HTTP), HTTP, "httpbin.org"),
    "by passthrough": Route((OUTSIDE[1], HTTP), HTTP, "openservicemesh.io"),
}
TCP_ROUTES = {
    "in the mesh": Route(TCP_SERVICE, TCP, in_mesh=True),
    "by a policy": Route((OUTSIDE[3], TCP), TCP),
    "by passthrough": Route((OUTSIDE[1], OTHER_TCP), OTHER_TCP),
}
TLS_ROUTES = {
    "by a policy": Route((OUTSIDE[0], HTTPS), HTTPS, "httpbin.org"),
    "by passthrough": Route((OUTSIDE[1], HTTPS), HTTPS, "openservicemesh.io"),
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What client and server say before the silence and after it; empty is nothing."""

    request: bytes
    """With `HOST`, and with `TOKEN`, by which the server knows whose it is."""
    answer: bytes = b""
    client_resumes: bytes = b""
    server_resumes: bytes = b""


_GET = b"GET /TOKEN HTTP/1.1\r\nhost: HOST\r\n"
_DONE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlater"
HTTP_EXCHANGES = {
    "WebSocket": Exchange(
        _GET + b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nnow",
        b"ping",
        b"pong",
    ),
    "event stream": Exchange(
        _GET + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: now\n\n",
        server_resumes=b"data: later\n\n",
    ),
    "long poll": Exchange(_GET + b"\r\n", server_resumes=_DONE),
    "upload that pauses": Exchange(
        b"POST /TOKEN HTTP/1.1\r\nhost: HOST\r\ncontent-length: 8\r\n\r\nhalf",
        client_resumes=b"rest",
        server_resumes=_DONE,
    ),
}
TCP_EXCHANGES = {"TCP": Exchange(b"TOKEN", b"now", b"ping", b"pong")}
TLS_EXCHANGES = {"TLS": Exchange(b"HELLO", b"\x16\x03\x03now", b"ping", b"pong")}


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection that is open, as its client and its server hold it."""

    exchange: Exchange
    client: socket.socket
    server: socket.socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()

    def resume(self) -> None:
        """Both say what they say after the silence, and both hear it."""
        say(self.client, self.exchange.client_resumes, self.server)
        say(self.server, self.exchange.server_resumes, self.client)


@pytest.fixture(scope="module")
def mesh(open_mesh: OpenMesh) -> Rig:
    """The mesh with two more services, policies, and passthrough for what no policy names."""

    def prepare(manifests: Manifests) -> None:
        services = (("http", HTTP_SERVICE, HTTP), ("tcp", TCP_SERVICE, TCP))
        for protocol, (address, port), target in services:
            manifests.add_service(
                "bookstore",
                name=f"silent-{protocol}",
                address=address,
                port=port,
                target_port=target,
                protocol=protocol,
            )
        manifests.patch("MeshConfig", "osm-mesh-config", {"spec": SWITCHES})
        manifests.apply(*POLICIES)

    return open_mesh(WITH_A_SERVICE, prepare=prepare)


Servers = Mapping[tuple[bool, int], socket.socket]


@pytest.fixture(scope="module")
def servers(mesh: Rig) -> Iterator[Servers]:
    """Listening sockets in the service's pod and outside, by whether in the mesh, and port."""
    network = mesh.network
    listening = {
        (in_mesh, port): (network.pods["bookstore-0"] if in_mesh else network.outside).listen(
            "0.0.0.0", port
        )
        for in_mesh in (True, False)
        for port in (HTTP, TCP, OTHER_TCP, HTTPS)
    }
    for server in listening.values():
        server.settimeout(2)
    yield listening
    for server in listening.values():
        server.close()


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """Closes all sockets at the end, whatever came of them."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.timeout(SILENCE_S + 300)
@pytest.mark.parametrize("transport", [Transport.DELTA], indirect=True)
def test_nothing_is_ended_for_its_silence(mesh: Rig, servers: Servers, ends: ExitStack) -> None:
    kinds = (
        (HTTP_ROUTES, HTTP_EXCHANGES),
        (TCP_ROUTES, TCP_EXCHANGES),
        (TLS_ROUTES, TLS_EXCHANGES),
    )
    flows = {
        f"{name}, {way}": ends.enter_context(opened(mesh, servers, route, exchange))
        for routes, exchanges in kinds
        for way, route in routes.items()
        for name, exchange in exchanges.items()
    }
    late = {
        way: ends.enter_context(mesh.client.connect(*route.address))
        for way, route in HTTP_ROUTES.items()
    }
    clients = {f"no request yet, {way}": client for way, client in late.items()}

    assert first_end(clients, flows) == ""

    # These first, while no connection to a server is free for their requests.
    for way, client in late.items():
        flow = began(client, servers, HTTP_ROUTES[way], HTTP_EXCHANGES["WebSocket"])
        ends.enter_context(flow).resume()
    for flow in flows.values():
        flow.resume()


def opened(mesh: Rig, servers: Servers, route: Route, exchange: Exchange) -> Flow:
    """A new connection, once the sidecars have what it needs."""

    def attempt() -> Flow:
        client = mesh.client.connect(*route.address, within_s=10)
        try:
            return began(client, servers, route, exchange)
        except OSError:
            client.close()
            raise

    return until(attempt, bool, what=f"{exchange} on {route}", context=mesh.sidecar.process.tail)


def began(client: socket.socket, servers: Servers, route: Route, exchange: Exchange) -> Flow:
    """The client says its request, and the server, when it has all of that, its answer."""
    token = uuid.uuid4().hex.encode()
    request = exchange.request.replace(b"HOST", route.host.encode()).replace(b"TOKEN", token)
    if request == b"HELLO":
        request = client_hello(route.host)
        token = request[11:43]  # the client's random
    client.sendall(request)
    while True:
        server, _ = servers[route.in_mesh, route.port].accept()
        server.settimeout(10)
        received = server.recv(65536)
        if token in received:
            break
        server.close()  # of an earlier attempt
    while not received.endswith(request[-4:]):
        received += more(server)
    say(server, exchange.answer, client)
    return Flow(exchange, client, server)


def say(speaker: socket.socket, words: bytes, listener: socket.socket) -> None:
    """Send *words*, and return when the listener has heard how they end."""
    speaker.sendall(words)
    end, heard = words[-3:], b""
    while end not in heard:
        heard += more(listener)


def more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("closed")
    return data


def first_end(clients: Mapping[str, socket.socket], flows: Mapping[str, Flow]) -> str:
    """Wait the silence out; returns early with what broke it first: an end or a word."""
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for name, client in clients.items():
            selector.register(client, selectors.EVENT_READ, name)
        for name, flow in flows.items():
            selector.register(flow.client, selectors.EVENT_READ, f"{name}: client's end")
            selector.register(flow.server, selectors.EVENT_READ, f"{name}: server's end")
        for key, _ in selector.select(SILENCE_S):
            return f"{key.data} after {time.monotonic() - started:.0f} s"
    return ""


def client_hello(server_name: str) -> bytes:
    """The first flight of a TLS client."""
    sent = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()
