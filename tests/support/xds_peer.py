"""A client's end of a session, driven by plain calls: what it asks, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse

from support.resources import Contents, content_of, snapshot
from towpath.model.names import ClientKind
from towpath.model.snapshot import Snapshot
from towpath.rollout.clients import ClientBuild, ClientRecord
from towpath.rollout.quarantine import Quarantine
from towpath.xds.delta import DeltaSession
from towpath.xds.messages import DeltaRequest, Event, Node, Reply, SotwRequest
from towpath.xds.sotw import SotwSession
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer, nonce_field

NODE = Node(id="curl.shop", user_agent="envoy")
WAIT_S = 2.0


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def new_client(clock: Clock | None = None, *, node_id: str = NODE.id) -> ClientRecord:
    """The client of a client that is alone in the world."""
    return Quarantine(clock=clock or Clock()).client(node_id, ClientBuild(ClientKind.ENVOY))


def sotw_session(
    client: ClientRecord | None = None,
    *,
    clock: Clock | None = None,
    composer: Composer | None = None,
) -> SotwSession:
    return SotwSession(
        composer=composer or Composer(identifier="towpath-sotw"),
        client=client or new_client(),
        waits=Waits(clock=clock or Clock(), longest=WAIT_S),
    )


def delta_session(
    client: ClientRecord | None = None,
    *,
    clock: Clock | None = None,
    composer: Composer | None = None,
) -> DeltaSession:
    return DeltaSession(
        composer=composer or Composer(identifier="towpath-delta"),
        client=client or new_client(),
        waits=Waits(clock=clock or Clock(), longest=WAIT_S),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """One response, as its bytes say."""

    type_url: str
    version: str
    nonce: str
    contents: dict[str, str]
    versions: dict[str, str]
    removed: tuple[str, ...] = ()


def told(events: list[Event]) -> list[Told]:
    """The responses among *events*, each read from its bytes."""
    return [read(event) for event in events if isinstance(event, Reply)]


def read(reply: Reply) -> Told:
    data = reply.body + nonce_field(reply.nonce)
    if b"towpath-delta" in data:
        return _read_delta(DeltaDiscoveryResponse.FromString(data))
    message: Any = DiscoveryResponse.FromString(data)
    contents = dict(content_of(packed) for packed in message.resources)
    assert len(contents) == len(message.resources), "a name is twice in one response"
    return Told(message.type_url, message.version_info, message.nonce, contents, {})


def _read_delta(message: Any) -> Told:
    contents = dict(content_of(held.resource) for held in message.resources)
    versions = {held.name: held.version for held in message.resources}
    assert set(contents) == set(versions)
    assert len(contents) == len(message.resources), "a name is twice in one response"
    assert contents.keys().isdisjoint(message.removed_resources)
    return Told(
        message.type_url,
        message.system_version_info,
        message.nonce,
        contents,
        versions,
        tuple(message.removed_resources),
    )


class SotwPeer:
    """A stream of the state-of-the-world variant; `ask` gives what comes back."""

    def __init__(self, contents: Contents | Snapshot, client: ClientRecord | None = None) -> None:
        self.client = client or new_client()
        self.clock = Clock()
        self.session = sotw_session(self.client, clock=self.clock)
        self._said_who = False
        self.publish(contents)

    def publish(self, contents: Contents | Snapshot) -> list[Told]:
        return told(self.session.on_snapshot(_snapshot(contents)))

    def let_waits_end(self) -> list[Told]:
        """What comes when the client does not answer in time."""
        self.clock.now += WAIT_S
        return told(self.session.on_time())

    def request(
        self, type_url: str, *names: str, version: str = "", nonce: str = "", error: str = ""
    ) -> list[Event]:
        node = None if self._said_who else NODE
        self._said_who = True
        return self.session.on_request(
            SotwRequest(
                type_url=type_url,
                node=node,
                version=version,
                nonce=nonce,
                names=frozenset(names),
                error=error or None,
            )
        )

    def ask(
        self, type_url: str, *names: str, version: str = "", nonce: str = "", error: str = ""
    ) -> list[Told]:
        return told(self.request(type_url, *names, version=version, nonce=nonce, error=error))

    def ask_one(self, type_url: str, *names: str, version: str = "", nonce: str = "") -> Told:
        (only,) = self.ask(type_url, *names, version=version, nonce=nonce)
        return only

    def ack(self, response: Told, *names: str) -> list[Event]:
        return self.request(
            response.type_url, *names, version=response.version, nonce=response.nonce
        )

    def nack(self, response: Told, error: str, *names: str) -> list[Event]:
        return self.request(response.type_url, *names, nonce=response.nonce, error=error)


class DeltaPeer:
    """A stream of the delta variant; `ask` gives what comes back."""

    def __init__(self, contents: Contents | Snapshot, client: ClientRecord | None = None) -> None:
        self.client = client or new_client()
        self.clock = Clock()
        self.session = delta_session(self.client, clock=self.clock)
        self._said_who = False
        self.publish(contents)

    def publish(self, contents: Contents | Snapshot) -> list[Told]:
        return told(self.session.on_snapshot(_snapshot(contents)))

    def let_waits_end(self) -> list[Told]:
        """What comes when the client does not answer in time."""
        self.clock.now += WAIT_S
        return told(self.session.on_time())

    def request(
        self,
        type_url: str,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        initial: dict[str, str] | None = None,
        nonce: str = "",
        error: str = "",
    ) -> list[Event]:
        node = None if self._said_who else NODE
        self._said_who = True
        return self.session.on_request(
            DeltaRequest(
                type_url=type_url,
                node=node,
                nonce=nonce,
                subscribe=subscribe,
                unsubscribe=unsubscribe,
                initial_versions=initial or {},
                error=error or None,
            )
        )

    def ask(
        self,
        type_url: str,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        initial: dict[str, str] | None = None,
    ) -> list[Told]:
        return told(self.request(type_url, *subscribe, unsubscribe=unsubscribe, initial=initial))

    def ask_one(self, type_url: str, *subscribe: str, unsubscribe: tuple[str, ...] = ()) -> Told:
        (only,) = self.ask(type_url, *subscribe, unsubscribe=unsubscribe)
        return only

    def ack(self, response: Told) -> list[Event]:
        return self.request(response.type_url, nonce=response.nonce)

    def nack(self, response: Told, error: str, *subscribe: str) -> list[Event]:
        return self.request(response.type_url, *subscribe, nonce=response.nonce, error=error)


def _snapshot(contents: Contents | Snapshot) -> Snapshot:
    return contents if isinstance(contents, Snapshot) else snapshot(contents)
