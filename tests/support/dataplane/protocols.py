"""Clients that speak every protocol that goes through a mesh, each once."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress

from support.dataplane.clients import Address, curl, greeting
from support.dataplane.encrypted import ECHO, GRPC, MAIL, MIRROR, OWN_TLS, WEB
from support.dataplane.hosts import BANNER, Hosts
from support.dataplane.netns import Namespace
from support.grpcurl import GRPCURL

UPGRADE = b"GET / HTTP/1.1\r\nhost: mirror\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
SERVICES_BY_PROTOCOL = {
    "http": WEB,
    "mail": MAIL,
    "echo": ECHO,
    "own TLS": OWN_TLS,
    "gRPC": GRPC,
    "websocket": MIRROR,
}


def outcomes_of(client: Namespace, hosts: Hosts, to: Mapping[str, Address]) -> dict[str, str]:
    """By protocol, `ok` or what happened instead."""
    trying: dict[str, Callable[[], bool]] = {
        "http": lambda: curl(client, f"http://{to['http'][0]}:{to['http'][1]}/").status == 200,
        "mail": lambda: greeting(client, to["mail"]) == BANNER,
        "echo": lambda: echoed(client, to["echo"]),
        "own TLS": lambda: _by_own_tls(client, hosts, to["own TLS"]),
        "gRPC": lambda: _healthy(client, to["gRPC"]),
        "websocket": lambda: _upgraded(client, to["websocket"]),
    }
    return {protocol: "ok" if attempt() else "failed" for protocol, attempt in trying.items()}


def echoed(client: Namespace, address: Address) -> bool:
    """Also a first write that is shorter than any of TLS."""
    with client.connect(*address) as connection, suppress(ConnectionError):
        connection.sendall(b"ab")
        return connection.recv(10) == b"ab"
    return False


def _by_own_tls(client: Namespace, hosts: Hosts, address: Address) -> bool:
    trust = ssl.create_default_context(cafile=str(hosts.ca))
    with trust.wrap_socket(client.connect(*address), server_hostname="outside.test") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")


def _healthy(client: Namespace, address: Address) -> bool:
    where = f"{address[0]}:{address[1]}"
    done = client.run(str(GRPCURL), "-plaintext", where, "grpc.health.v1.Health/Check")
    return done.returncode == 0 and json.loads(done.stdout) == {"status": "SERVING"}


def _upgraded(client: Namespace, address: Address) -> bool:
    with client.connect(*address) as connection:
        connection.sendall(UPGRADE)
        answer = connection.recv(1000)
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1000)
        connection.sendall(b"\x81\x02hi")
        return answer.startswith(b"HTTP/1.1 101") and connection.recv(10) == b"\x81\x02hi"
