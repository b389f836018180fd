"""A client's end of a session, driven by plain calls: what it asks, and what it is told."""

from __future__ import annotations

from collections.abc import Callable

from support.fake_time import Clock
from support.resources import Contents, content_of, snapshot
from support.xds.told import Told, read_delta, read_sotw
from towpath.model.names import ClientKind
from towpath.model.snapshot import Snapshot
from towpath.rollout.clients import ClientRecord
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.settings import RolloutSettings
from towpath.xds.messages import DeltaRequest, Event, Node, Reply, SotwRequest
from towpath.xds.session import Session
from towpath.xds.variant import DELTA, SOTW
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer, nonce_field

NODE = Node(id="curl.shop", user_agent="envoy")
WAIT_S = 2.0


def new_client(clock: Clock | None = None, *, node_id: str = NODE.id) -> ClientRecord:
    """The record of a client that is alone in the world."""
    return Quarantine(RolloutSettings(), clock=clock or Clock()).client(
        node_id, ClientBuild(ClientKind.ENVOY)
    )


def sotw_session(
    client: ClientRecord | None = None,
    *,
    clock: Clock | None = None,
    composer: Composer | None = None,
) -> Session:
    return Session(
        SOTW,
        composer=composer or Composer(identifier="towpath-sotw"),
        client=client or new_client(),
        waits=Waits(clock=clock or Clock(), longest=WAIT_S),
    )


def delta_session(
    client: ClientRecord | None = None,
    *,
    clock: Clock | None = None,
    composer: Composer | None = None,
) -> Session:
    return Session(
        DELTA,
        composer=composer or Composer(identifier="towpath-delta"),
        client=client or new_client(),
        waits=Waits(clock=clock or Clock(), longest=WAIT_S),
    )


def told(events: list[Event]) -> list[Told[str]]:
    """The responses among *events*, each read from its bytes."""
    return [read(event) for event in events if isinstance(event, Reply)]


def read(reply: Reply) -> Told[str]:
    data = reply.body + nonce_field(reply.nonce)
    return (read_delta if b"towpath-delta" in data else read_sotw)(data, content_of)


class _Peer:
    """The end of a client that says just what a test wants, and says who it is only once."""

    def __init__(
        self,
        contents: Contents | Snapshot,
        client: ClientRecord | None,
        new_session: Callable[..., Session],
    ) -> None:
        self.client = client or new_client()
        self.clock = Clock()
        self.session = new_session(self.client, clock=self.clock)
        self._said_who = False
        self.publish(contents)

    def publish(self, contents: Contents | Snapshot) -> list[Told[str]]:
        return told(self.session.on_snapshot(_snapshot(contents)))

    def let_waits_end(self) -> list[Told[str]]:
        """What comes when the client does not answer in time."""
        self.clock.now += WAIT_S
        return told(self.session.on_time())

    def _node(self) -> Node | None:
        before, self._said_who = self._said_who, True
        return None if before else NODE


class SotwPeer(_Peer):
    """A stream of the state-of-the-world variant; `ask` gives what comes back."""

    def __init__(self, contents: Contents | Snapshot, client: ClientRecord | None = None) -> None:
        super().__init__(contents, client, sotw_session)

    def request(
        self, type_url: str, *names: str, version: str = "", nonce: str = "", error: str = ""
    ) -> list[Event]:
        return self.session.on_request(
            SotwRequest(
                type_url=type_url,
                node=self._node(),
                version=version,
                nonce=nonce,
                names=frozenset(names),
                error=error or None,
            )
        )

    def ask(
        self, type_url: str, *names: str, version: str = "", nonce: str = "", error: str = ""
    ) -> list[Told[str]]:
        return told(self.request(type_url, *names, version=version, nonce=nonce, error=error))

    def ask_one(self, type_url: str, *names: str, version: str = "", nonce: str = "") -> Told[str]:
        (only,) = self.ask(type_url, *names, version=version, nonce=nonce)
        return only

    def ack(self, response: Told[str], *names: str) -> list[Event]:
        return self.request(
            response.type_url, *names, version=response.version, nonce=response.nonce
        )

    def nack(self, response: Told[str], error: str, *names: str) -> list[Event]:
        return self.request(response.type_url, *names, nonce=response.nonce, error=error)


class DeltaPeer(_Peer):
    """A stream of the delta variant; `ask` gives what comes back."""

    def __init__(self, contents: Contents | Snapshot, client: ClientRecord | None = None) -> None:
        super().__init__(contents, client, delta_session)

    def request(
        self,
        type_url: str,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        initial: dict[str, str] | None = None,
        nonce: str = "",
        error: str = "",
    ) -> list[Event]:
        return self.session.on_request(
            DeltaRequest(
                type_url=type_url,
                node=self._node(),
                nonce=nonce,
                subscribe=frozenset(subscribe),
                unsubscribe=frozenset(unsubscribe),
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
    ) -> list[Told[str]]:
        return told(self.request(type_url, *subscribe, unsubscribe=unsubscribe, initial=initial))

    def ask_one(
        self, type_url: str, *subscribe: str, unsubscribe: tuple[str, ...] = ()
    ) -> Told[str]:
        (only,) = self.ask(type_url, *subscribe, unsubscribe=unsubscribe)
        return only

    def ack(self, response: Told[str]) -> list[Event]:
        return self.request(response.type_url, nonce=response.nonce)

    def nack(self, response: Told[str], error: str, *subscribe: str) -> list[Event]:
        return self.request(response.type_url, *subscribe, nonce=response.nonce, error=error)


def _snapshot(contents: Contents | Snapshot) -> Snapshot:
    return contents if isinstance(contents, Snapshot) else snapshot(contents)
