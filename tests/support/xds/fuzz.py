"""Generated requests: right ones, wrong ones, and bytes that are none."""

from __future__ import annotations

from random import Random
from typing import Any

from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.rpc.status_pb2 import Status

from support.xds.client import Client
from support.xds.types import TYPES, UNKNOWN

NAMES = ("A", "B", "C", "late", "*", "", "A*", "xdstp://a/b/*", "ä\x00\u2028", "n" * 5000)
IDS = ("ghost.conformance", "", "nobody", "x." * 5000, "ä.\u2028")
AGENTS = ("envoy", "conformance", "towpath", "", "Envoy\x00", "x" * 300)
WORDS = ("", "A is bad", "resource index 0: B: bad", "*", "\x00", "A B C " * 2000)


class Requests:
    """What one client might send; *random* decides."""

    def __init__(self, random: Random, client: Client, *, delta: bool) -> None:
        self._random = random
        self._client = client
        self._delta = delta
        self._first = True

    def next(self) -> bytes:
        """The next request: mostly one that means something, and sometimes a broken one."""
        data = self._request().SerializeToString()
        self._first = False
        return self._broken(data) if self._random.random() < 0.02 else bytes(data)

    def _request(self) -> Any:
        choice, chance = self._random.choice, self._random.random
        own, any_type = self._client.own, choice((*TYPES, *TYPES, *TYPES, UNKNOWN))
        fields: dict[str, Any] = {
            "type_url": own if own and chance() < 0.98 else any_type,
            "response_nonce": self._nonce(),
        }
        if self._first or chance() < 0.1:
            strange = chance() < (0.05 if self._first else 0.005)
            fields["node"] = Node(id=choice(IDS)) if strange else self._client.node
        if chance() < 0.2:
            fields["error_detail"] = Status(code=choice((0, 3, 13)), message=choice(WORDS))
        if not self._delta:
            version = choice(("", "1", *(response.version for response in self._client.heard[-3:])))
            return DiscoveryRequest(**fields, resource_names=self._names(), version_info=version)
        if chance() < 0.2:
            versions = {name: choice(("", "1")) for name in self._names()}
            for response in self._client.heard[-2:]:
                versions.update(response.versions)
            fields["initial_resource_versions"] = versions
        return DeltaDiscoveryRequest(
            **fields,
            resource_names_subscribe=self._names(),
            resource_names_unsubscribe=self._names(),
        )

    def _names(self) -> list[str]:
        count = self._random.choice((0, 0, 1, 1, 2, 3, 40))
        return [self._random.choice(NAMES) for _ in range(count)]

    def _nonce(self) -> str:
        latest = [response.nonce for response in self._client.heard[-5:]]
        return self._random.choice(("", "", *latest, *latest, "0", "99999", "ä"))

    def _broken(self, data: bytes) -> bytes:
        """A bit flipped, an end lost, something put in between, or anything at all."""
        at = self._random.randrange(len(data) + 1)
        match self._random.randrange(4):
            case 0 if at < len(data):
                flipped = data[at] ^ 1 << self._random.randrange(8)
                return data[:at] + bytes([flipped]) + data[at + 1 :]
            case 1:
                return data[:at]
            case 2:
                return data[:at] + self._random.randbytes(4) + data[at:]
            case _:
                return self._random.randbytes(at)
