"""Clients that say exactly what a test wants, and keep all that they are told, in order.

One client is one stream. It states what it asks for and the latest nonce by itself, so that a test
spells out only what it is about.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import grpc
import grpc.aio
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from support.xds import contents
from support.xds.stream import WITHIN_S, Stream
from support.xds.told import Told, read_delta, read_sotw
from support.xds.types import AGGREGATED, OWN, ROUTES, WHOLE

PROBES = tuple(f"probe-{number}" for number in range(1, 13))
"""Names of resources that exist only to be asked for; see `quiet`."""

PROBED = ROUTES
"""Which type's probes are asked for on an aggregated stream, unless a test says otherwise."""

_PROBES = frozenset(PROBES)
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one address share a connection
)


class Client(Stream):
    """What both variants have in common; `own` is the type of a stream for that type alone.

    One that does not read leaves it to gRPC to tell the server to wait.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        method: str,
        node: str,
        *,
        own: str = "",
        agent: str = "conformance",
        features: Sequence[str] = (),
        reads: bool = True,
    ) -> None:
        self.node = Node(id=node, user_agent_name=agent, client_features=features)
        self.own = own
        super().__init__(channel, method)
        self.heard: list[Told[bytes]] = []
        self.requests = 0
        self._channel = channel
        self._unread: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._nonces: dict[str, str] = {}
        self._probes: Counter[str] = Counter()
        self._reader = asyncio.create_task(self._keep_reading()) if reads else None

    async def _keep_reading(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while (data := await super()._read()) is not None:
                self._unread.put_nowait(data)
        self._unread.put_nowait(None)

    async def _read(self) -> bytes | None:
        data = await self._unread.get()
        if data is None:
            self._unread.put_nowait(None)  # for whoever hears again
        return data

    async def close(self) -> None:
        """End the stream and its connection, as a client that is stopped does."""
        self._call.cancel()
        if self._reader is not None:
            await self._reader
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def say_bytes(self, data: bytes) -> None:
        self.requests += 1
        await super().say_bytes(data)

    async def hear(self, *, within: float = WITHIN_S) -> Told[bytes]:
        """The next response; a stream that has ended fails the test with its status."""
        response = self._parse(await self.hear_bytes(within=within))
        assert response.nonce, "a response without a nonce"
        assert response.nonce not in {t.nonce for t in self.heard}, "a nonce was used twice"
        self.heard.append(response)
        self._nonces[response.type_url] = response.nonce
        return response

    async def quiet(self, probed: str = "") -> None:
        """Assert that nothing has been sent, nor will be for what was said and done so far."""
        sent = await self.settle(probed)
        assert not sent, f"sent without need: {[str(response) for response in sent]}"

    async def settle(self, probed: str = "") -> list[Told[bytes]]:
        """Hear, and accept, all that is sent for what was said and done so far.

        No time says when that is, but order does: what is asked for now is answered behind it.
        Twice, as a server may answer a request before it pushes a change that is already
        published.
        """
        probed = self.own or probed or PROBED
        sent = []
        for _ in range(2):
            name = PROBES[self._probes[probed]]
            self._probes[probed] += 1
            await self._probe(probed, name)
            while name not in (response := await self.take()).probes:
                sent.append(response)
            if response.contents and probed not in WHOLE:
                sent.append(response)
        return sent

    async def _probe(self, type_url: str, name: str) -> None:
        raise NotImplementedError

    async def take(self) -> Told[bytes]:
        """Hear, and accept."""
        response = await self.hear()
        await self.ack(response)
        return response

    async def ack(self, response: Told[bytes]) -> None:
        raise NotImplementedError

    def _parse(self, data: bytes) -> Told[bytes]:
        raise NotImplementedError


class SotwClient(Client):
    """A state-of-the-world stream."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: dict[str, list[str]] = {}
        self.accepted: dict[str, str] = {}  # by type: the version of the last response accepted

    async def say(self, type_url: str, **fields: Any) -> None:
        """Send just these fields."""
        request = DiscoveryRequest(type_url=type_url, **fields)
        await self.say_bytes(request.SerializeToString())

    async def ask(self, type_url: str, *names: str, nonce: str | None = None) -> None:
        """Ask for these names from now on; none is the wildcard, or nothing, as the type has it."""
        self.names[type_url] = list(names)
        await self.say(
            type_url,
            node=self.node,
            resource_names=names,
            version_info=self.accepted.get(type_url, ""),
            response_nonce=self._nonces.get(type_url, "") if nonce is None else nonce,
        )

    async def get(self, type_url: str, *names: str) -> Told[bytes]:
        """Ask, hear, and accept."""
        await self.ask(type_url, *names)
        response = await self.hear()
        await self.ack(response)
        return response

    async def ack(self, response: Told[bytes]) -> None:
        self.accepted[response.type_url] = response.version
        await self.ask(
            response.type_url, *self.names.get(response.type_url, []), nonce=response.nonce
        )

    async def nack(self, response: Told[bytes], words: str = "rejected", *names: str) -> None:
        """Reject; *names*, if any, are asked for from now on."""
        if names:
            self.names[response.type_url] = list(names)
        await self.say(
            response.type_url,
            resource_names=self.names[response.type_url],
            version_info=self.accepted.get(response.type_url, ""),
            response_nonce=response.nonce,
            error_detail=Status(code=13, message=words),
        )

    async def _probe(self, type_url: str, name: str) -> None:
        names = self.names.get(type_url, [])
        if not names and type_url in WHOLE and type_url in self._nonces:
            names = ["*"]
        await self.ask(type_url, *names, name)

    def _parse(self, data: bytes) -> Told[bytes]:
        return read_sotw(data, _named, probes=_PROBES)


class DeltaClient(Client):
    """A delta stream; `versions` is what it holds of each type, by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.versions: dict[str, dict[str, str]] = {}

    async def say(self, type_url: str, **fields: Any) -> None:
        """Send just these fields."""
        request = DeltaDiscoveryRequest(type_url=type_url, **fields)
        await self.say_bytes(request.SerializeToString())

    async def ask(
        self,
        type_url: str,
        *subscribe: str,
        unsubscribe: Sequence[str] = (),
        initial: Mapping[str, str] | None = None,
        nonce: str = "",
    ) -> None:
        await self.say(
            type_url,
            node=self.node,
            resource_names_subscribe=subscribe,
            resource_names_unsubscribe=unsubscribe,
            initial_resource_versions=initial,
            response_nonce=nonce,
        )

    async def get(self, type_url: str, *subscribe: str, **more: Any) -> Told[bytes]:
        """Ask, hear, and accept."""
        await self.ask(type_url, *subscribe, **more)
        return await self.take()

    async def ack(self, response: Told[bytes]) -> None:
        versions = self.versions.setdefault(response.type_url, {})
        versions.update(response.versions)
        for name in response.removed:
            versions.pop(name, None)
        await self.say(response.type_url, response_nonce=response.nonce)

    async def nack(self, response: Told[bytes], words: str = "rejected", *subscribe: str) -> None:
        await self.say(
            response.type_url,
            response_nonce=response.nonce,
            resource_names_subscribe=subscribe,
            error_detail=Status(code=13, message=words),
        )

    async def _probe(self, type_url: str, name: str) -> None:
        await self.ask(type_url, name)

    def _parse(self, data: bytes) -> Told[bytes]:
        return read_delta(data, _named, probes=_PROBES)


def _named(packed: AnyMessage) -> tuple[str, bytes]:
    return contents.name_of(contents.unpacked(packed)), packed.value


@contextlib.asynccontextmanager
async def sotw(address: str, node: str, *, own: str = "", **more: Any) -> AsyncIterator[SotwClient]:
    """A state-of-the-world stream on a connection of its own; *own* is a type, or "" for ADS."""
    method = (OWN[own] if own else AGGREGATED).sotw
    channel = grpc.aio.insecure_channel(address, OPTIONS)
    async with SotwClient(channel, method, node, own=own, **more) as client:
        yield client


@contextlib.asynccontextmanager
async def delta(
    address: str, node: str, *, own: str = "", **more: Any
) -> AsyncIterator[DeltaClient]:
    """A delta stream on a connection of its own; *own* is a type, or "" for ADS."""
    method = (OWN[own] if own else AGGREGATED).delta
    channel = grpc.aio.insecure_channel(address, OPTIONS)
    async with DeltaClient(channel, method, node, own=own, **more) as client:
        yield client
