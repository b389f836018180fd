"""A sidecar as the server sees it: an Envoy's requests and answers, in memory, and its CPU apart.

It asks for clusters, and once it has them for the endpoints of those that it wants and for
listeners; it accepts whatever comes at once. Responses are not read as a whole, as it is the server
that is measured: which clusters one names is worked out once for all that are sent the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from google.protobuf.message import Message

from towpath.model.plan import destination_of
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

TYPES = (CLUSTER, ENDPOINTS, LISTENER)
"""What every sidecar asks for."""

_NONCE = 0x2A  # tag of field 5, the last of every response
LONGEST_TAIL = 400
"""Bytes at a response's end in which its type stands, unless it says what is removed."""


@dataclass
class Fleet:
    """What all sidecars have received, and what their own part of the work took."""

    responses: int = 0
    bytes: int = 0
    cpu_s: float = 0.0
    last_at: float = 0.0
    sidecars: set[str] = field(default_factory=set)
    """Those that have received something since `expect`."""

    def expect(self) -> None:
        """Count from here on."""
        self.responses = self.bytes = 0
        self.cpu_s = 0.0
        self.last_at = time.monotonic()
        self.sidecars.clear()


@dataclass(frozen=True, slots=True)
class Login:
    """The certificate (PEM) that a sidecar shows, and the secrets that it asks for."""

    certificate: bytes
    secrets: tuple[str, ...]


class Sidecar:
    """One stream, as the context and the requests of a gRPC method; *wants* are the clusters whose
    endpoints it asks for (None: of all there are). With a *login* it is authenticated, and asks for
    secrets too, in the delta variant; with *routes* for the route configurations that these are for
    its clusters.
    """

    def __init__(
        self,
        node_id: str,
        fleet: Fleet,
        *,
        delta: bool,
        wants: frozenset[str] | None,
        login: Login | None = None,
        routes: Callable[[frozenset[str]], frozenset[str]] | None = None,
    ) -> None:
        self._login = login
        self._routes = routes
        self._node = Node(id=node_id, user_agent_name="envoy")
        self._fleet = fleet
        self._delta = delta
        self._wants = wants
        self._names: frozenset[str] = frozenset()
        self._listens = False
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ask(CLUSTER)

    # What the server calls.

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def auth_context(self) -> dict[str, list[bytes]]:
        if self._login is None:
            return {"transport_security_type": [b"insecure"]}
        shown = {"x509_pem_cert": [self._login.certificate]}
        return {"transport_security_type": [b"ssl"], **shown}

    async def abort(self, code: Any, details: str) -> None:
        raise RuntimeError(f"{self._node.id}: {code}: {details}")

    async def requests(self) -> AsyncIterator[bytes]:
        while (request := await self._requests.get()) is not None:
            yield request

    async def write(self, parts: tuple[bytes, bytes]) -> None:
        """Take a response, and answer it."""
        began = time.thread_time()
        message = b"".join(parts)
        fleet = self._fleet
        fleet.responses += 1
        fleet.bytes += len(message)
        fleet.last_at = time.monotonic()
        fleet.sidecars.add(self._node.id)
        self._take(message)
        fleet.cpu_s += time.thread_time() - began

    def leave(self) -> None:
        """End the stream."""
        self._requests.put_nowait(None)

    def _take(self, message: bytes) -> None:
        type_url, nonce = _type(message), _nonce(message)
        before = self._names
        if type_url == CLUSTER:
            self._names = self._clusters(message, nonce)
        names = self._names if type_url == ENDPOINTS else frozenset[str]()
        if type_url == ROUTES and self._routes is not None:
            names = self._routes(self._names)
        version = "" if self._delta else _version(message)
        self._put(_ack(type_url, nonce, version, () if self._delta else tuple(sorted(names))))
        if type_url == CLUSTER and self._names != before:
            self._subscribe(ENDPOINTS, self._names, before)
            if self._routes is not None:
                of_before = self._routes(before) if self._listens else frozenset[str]()
                self._subscribe(ROUTES, self._routes(self._names), of_before)
        if type_url == CLUSTER and not self._listens:
            self._listens = True
            self._ask(LISTENER)
            if self._login is not None:
                self._put(_secret_request(self._login.secrets))

    def _subscribe(self, type_url: str, names: frozenset[str], before: frozenset[str]) -> None:
        if self._delta:
            self._put(_delta_request(type_url, names - before, before - names))
        else:
            self._ask(type_url, names=names)

    def _clusters(self, message: bytes, nonce: str) -> frozenset[str]:
        """Those whose endpoints it wants, by what it holds after that response."""
        body = message[: len(message) - len(nonce) - 2]
        new, gone, whole = _clusters(body, self._delta)
        # The first set is everybody's, so that it does not count as memory of each.
        names = new if whole or not self._names else (self._names | new) - gone
        return names if self._wants is None else names & self._wants

    def _ask(self, type_url: str, names: frozenset[str] = frozenset()) -> None:
        node = self._node if type_url == CLUSTER else None
        request = DeltaDiscoveryRequest if self._delta else DiscoveryRequest
        fields = {} if self._delta else {"resource_names": sorted(names)}
        self._put(_bytes(request(node=node, type_url=type_url, **fields)))

    def _put(self, request: bytes) -> None:
        self._requests.put_nowait(request)


def _type(message: bytes) -> str:
    tail = message[-LONGEST_TAIL:]
    for whole in (tail, message):
        for type_url in (*TYPES, ROUTES, SECRET):
            if bytes((0x22, len(type_url))) + type_url.encode() in whole:
                return type_url
    raise ValueError("a response of no type that was asked for")


def _nonce(message: bytes) -> str:
    """Behind the last tag whose length leads to the end: nonces are digits here."""
    for length in range(1, 12):
        if message[-length - 2] == _NONCE and message[-length - 1] == length:
            return message[-length:].decode()
    raise ValueError("a response without a nonce")


def _version(message: bytes) -> str:
    """The first field of a response."""
    return message[2 : 2 + message[1]].decode()


@lru_cache(maxsize=64)
def _clusters(body: bytes, delta: bool) -> tuple[frozenset[str], frozenset[str], bool]:  # noqa: FBT001 (a key)
    """In-mesh clusters that are new, that are gone, and whether these are all there are."""
    if delta:
        one = DeltaDiscoveryResponse.FromString(body)
        return _in_mesh([r.name for r in one.resources]), frozenset(one.removed_resources), False
    whole = DiscoveryResponse.FromString(body)
    named = [resource.value[2 : 2 + resource.value[1]].decode() for resource in whole.resources]
    return _in_mesh(named), frozenset(), True


def _in_mesh(names: list[str]) -> frozenset[str]:
    return frozenset(name for name in names if destination_of(name))


@lru_cache(maxsize=64)
def _delta_request(type_url: str, new: frozenset[str], gone: frozenset[str]) -> bytes:
    return _bytes(
        DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=sorted(new),
            resource_names_unsubscribe=sorted(gone),
        )
    )


@lru_cache(maxsize=1024)
def _secret_request(names: tuple[str, ...]) -> bytes:
    return _bytes(DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=names))


def _ack(type_url: str, nonce: str, version: str, names: tuple[str, ...]) -> bytes:
    if not version:
        return _bytes(DeltaDiscoveryRequest(type_url=type_url, response_nonce=nonce))
    return _bytes(
        DiscoveryRequest(
            type_url=type_url, response_nonce=nonce, version_info=version, resource_names=names
        )
    )


def _bytes(message: Message) -> bytes:
    return bytes(message.SerializeToString())
