"""Clients that do what the protocol asks of them, with messages under way in both directions.

A model holds what it accepted, and nothing of what it no longer asks for. What it finds bad it
rejects: beside a bad listener or cluster it takes the good ones, beside a bad route configuration
or assignment it takes none, as Envoy does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from support.fake_time import Clock
from support.resources import Contents, snapshot
from support.xds.told import Told
from support.xds_peer import NODE, WAIT_S, new_client, told
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.xds.messages import DeltaRequest, Event, Node, SotwRequest
from towpath.xds.session import Session
from towpath.xds.variant import DELTA, SOTW, Variant
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer

ALL_TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
FULL_STATE = (CLUSTER, LISTENER)
BAD = "bad"

R = TypeVar("R", SotwRequest, DeltaRequest)


@dataclass(slots=True)
class Held:
    """One type at the client: what it asks for, and what it has accepted."""

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    ever_named: bool = False
    contents: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    version: str = ""
    nonce: str = ""

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def forget_what_is_not_wanted(self) -> None:
        for name in [n for n in self.contents if not self.wants(n)]:
            self.forget(name)

    def forget(self, name: str) -> None:
        self.contents.pop(name, None)
        self.versions.pop(name, None)

    def accept(self, response: Told[str], names: set[str]) -> None:
        for name in filter(self.wants, names):
            self.contents[name] = response.contents[name]
            if response.versions:
                self.versions[name] = response.versions[name]


class Model(ABC, Generic[R]):
    """One client of one node id, and the server's session that it talks to."""

    identifier: str
    variant: Variant

    def __init__(self, contents: Contents, *, names_what_is_bad: bool) -> None:
        self.types: dict[str, Held] = {}
        self.warming: set[str] = set()
        self.received: list[tuple[str, str, str]] = []
        self._names_what_is_bad = names_what_is_bad
        self.accepted: Callable[[str], None] = lambda _: None
        """Called with the type of what was accepted, before that is answered."""
        self.contents = contents
        self._snapshot = snapshot(contents)
        self.clock = Clock()
        self._client = new_client(self.clock)
        self._composer = Composer(identifier=self.identifier)
        self._connect()

    def _connect(self) -> None:
        self._to_server: deque[R] = deque()
        self._to_client: deque[Told[str]] = deque()
        self._said_who = False
        self._server = Session(
            self.variant,
            composer=self._composer,
            client=self._client,
            waits=Waits(clock=self.clock, longest=WAIT_S),
        )
        self._server.on_snapshot(self._snapshot)

    def publish(self, contents: Contents) -> None:
        self.contents = contents
        self.publish_snapshot(snapshot(contents))

    def publish_snapshot(self, held: Snapshot) -> None:
        self._snapshot = held
        self._say(self._server.on_snapshot(held))

    @property
    def under_way(self) -> tuple[Told[str], ...]:
        """Responses that the client has not read."""
        return tuple(self._to_client)

    @property
    def said_everything(self) -> bool:
        """True if the server has read all that the client said."""
        return not self._to_server

    def server_step(self) -> bool:
        """The server takes one request; False if there is none."""
        if not self._to_server:
            return False
        self._say(self._server.on_request(self._to_server.popleft()))
        return True

    def client_step(self) -> bool:
        """The client takes one response, and answers it; False if there is none."""
        if not self._to_client:
            return False
        response = self._to_client.popleft()
        held = self.types[response.type_url]
        self.received += [(response.type_url, n, c) for n, c in response.contents.items()]
        bad = {n for n, c in response.contents.items() if c.startswith(BAD) and held.wants(n)}
        good = set(response.contents) - bad
        if bad and response.type_url not in FULL_STATE:
            good = set()
        self._warm(response, good)
        self._take(held, response, good, bad)
        self.accepted(response.type_url)
        error = (", ".join(sorted(bad)) if self._names_what_is_bad else "no") if bad else None
        self._answer(held, response, error)
        return True

    def drain(self) -> None:
        """Let everything that is under way arrive, and every wait come to its end."""
        for _ in range(1000):
            if not (self.server_step() or self.client_step() or self.wait()):
                return
        raise AssertionError("the two never stop talking")

    def wait(self) -> bool:
        """Let the server's wait end; False if it waits for nothing."""
        if self._server.deadline is None:
            return False
        self.clock.now = max(self.clock.now, self._server.deadline)
        self._say(self._server.on_time())
        return True

    def reconnect(self) -> None:
        self._connect()
        for type_url, held in self.types.items():
            held.nonce = ""
            if held.wildcard or held.names:
                self._first_request(type_url, held)

    def _say(self, events: list[Event]) -> None:
        self._to_client.extend(told(events))

    def _warm(self, response: Told[str], good: set[str]) -> None:
        """A cluster that is new or changed warms until its endpoints come (Envoy's rule)."""
        if response.type_url == CLUSTER:
            held, watched = self.types[CLUSTER], self.types.get(ENDPOINTS, Held()).names
            changed = {n for n in good if held.contents.get(n) != response.contents[n]}
            self.warming |= {n for n in changed & watched if held.wants(n)}
        elif response.type_url == ENDPOINTS:
            self.warming -= set(response.contents)

    @abstractmethod
    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        """Ask for these names from now on, and everything if *wildcard*."""

    @abstractmethod
    def _first_request(self, type_url: str, held: Held) -> None: ...

    @abstractmethod
    def _take(self, held: Held, response: Told[str], good: set[str], bad: set[str]) -> None: ...

    @abstractmethod
    def _answer(self, held: Held, response: Told[str], error: str | None) -> None: ...

    def _node(self) -> Node | None:
        said, self._said_who = self._said_who, True
        return None if said else NODE


class SotwModel(Model[SotwRequest]):
    identifier = "towpath-sotw"
    variant = SOTW

    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        held = self.types.setdefault(type_url, Held())
        first = not held.ever_named and not held.wildcard
        if held.wildcard and not held.ever_named and not names and not wildcard:
            return  # who has never named anything cannot say that it wants nothing
        if not first or names or not wildcard:
            held.ever_named = True
        held.names, held.wildcard = names, wildcard
        held.forget_what_is_not_wanted()
        self._request(type_url, held, version="" if first else held.version)

    def _first_request(self, type_url: str, held: Held) -> None:
        self._request(type_url, held, version=held.version)

    def _request(
        self, type_url: str, held: Held, *, version: str, error: str | None = None
    ) -> None:
        legacy = held.wildcard and not held.ever_named
        listed = held.names | ({"*"} if held.wildcard and not legacy else set())
        self._to_server.append(
            SotwRequest(
                type_url,
                node=self._node(),
                version=version,
                nonce=held.nonce,
                names=frozenset(listed),
                error=error,
            )
        )

    def _take(self, held: Held, response: Told[str], good: set[str], bad: set[str]) -> None:
        held.nonce = response.nonce
        if response.type_url in FULL_STATE:
            for name in set(held.contents) - good - bad:
                held.forget(name)
        held.accept(response, good)
        if not bad:
            held.version = response.version

    def _answer(self, held: Held, response: Told[str], error: str | None) -> None:
        self._request(response.type_url, held, version=held.version, error=error)


class DeltaModel(Model[DeltaRequest]):
    identifier = "towpath-delta"
    variant = DELTA

    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        first = type_url not in self.types
        held = self.types.setdefault(type_url, Held())
        if wildcard and not held.wildcard and not first:
            # Nothing tells a late response to a wildcard that has ended from one to the next.
            self.drain()
        before = held.names | ({"*"} if held.wildcard else set())
        after = names | ({"*"} if wildcard else set())
        dropped = held.names - names
        held.names, held.wildcard = set(names), wildcard
        held.forget_what_is_not_wanted()
        for name in dropped:
            held.forget(name)
        if first and after == {"*"}:
            after = set()
        if first or after != before:
            self._request(type_url, subscribe=after - before, unsubscribe=before - after)

    def reconnect(self) -> None:
        # What still warmed is asked for anew with its version: only the timer ends that.
        self.warming.clear()
        super().reconnect()

    def _first_request(self, type_url: str, held: Held) -> None:
        names = held.names | ({"*"} if held.wildcard else set())
        self._request(type_url, subscribe=names, unsubscribe=set(), held=held)

    def _request(
        self,
        type_url: str,
        *,
        subscribe: set[str],
        unsubscribe: set[str],
        held: Held | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> None:
        self._to_server.append(
            DeltaRequest(
                type_url,
                node=self._node(),
                nonce=nonce,
                subscribe=tuple(sorted(subscribe)),
                unsubscribe=tuple(sorted(unsubscribe)),
                initial_versions=dict(held.versions) if held else {},
                error=error,
            )
        )

    def _take(self, held: Held, response: Told[str], good: set[str], bad: set[str]) -> None:
        del bad
        held.accept(response, good)
        for name in response.removed:
            held.forget(name)

    def _answer(self, held: Held, response: Told[str], error: str | None) -> None:
        del held
        self._request(
            response.type_url, subscribe=set(), unsubscribe=set(), nonce=response.nonce, error=error
        )
