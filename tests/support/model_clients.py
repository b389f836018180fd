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
class ClientType:
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
        self.types: dict[str, ClientType] = {}
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

    def publish_snapshot(self, newest: Snapshot) -> None:
        self._snapshot = newest
        self._say(self._server.on_snapshot(newest))

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
        state = self.types[response.type_url]
        self.received += [(response.type_url, n, c) for n, c in response.contents.items()]
        bad = {n for n, c in response.contents.items() if c.startswith(BAD) and state.wants(n)}
        good = set(response.contents) - bad
        if bad and response.type_url not in FULL_STATE:
            good = set()
        self._warm(response, good)
        self._take(state, response, good, bad)
        self.accepted(response.type_url)
        error = (", ".join(sorted(bad)) if self._names_what_is_bad else "no") if bad else None
        self._answer(state, response, error)
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
        for type_url, state in self.types.items():
            state.nonce = ""
            if state.wildcard or state.names:
                self._first_request(type_url, state)

    def _say(self, events: list[Event]) -> None:
        self._to_client.extend(told(events))

    def _warm(self, response: Told[str], good: set[str]) -> None:
        """A cluster that is new or changed warms until its endpoints come (Envoy's rule)."""
        if response.type_url == CLUSTER:
            clusters, watched = self.types[CLUSTER], self.types.get(ENDPOINTS, ClientType()).names
            changed = {n for n in good if clusters.contents.get(n) != response.contents[n]}
            self.warming |= {n for n in changed & watched if clusters.wants(n)}
        elif response.type_url == ENDPOINTS:
            self.warming -= set(response.contents)

    @abstractmethod
    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        """Ask for these names from now on, and everything if *wildcard*."""

    @abstractmethod
    def _first_request(self, type_url: str, state: ClientType) -> None: ...

    @abstractmethod
    def _take(
        self, state: ClientType, response: Told[str], good: set[str], bad: set[str]
    ) -> None: ...

    @abstractmethod
    def _answer(self, state: ClientType, response: Told[str], error: str | None) -> None: ...

    def _node(self) -> Node | None:
        before, self._said_who = self._said_who, True
        return None if before else NODE


class SotwModel(Model[SotwRequest]):
    identifier = "towpath-sotw"
    variant = SOTW

    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        state = self.types.setdefault(type_url, ClientType())
        first = not state.ever_named and not state.wildcard
        if state.wildcard and not state.ever_named and not names and not wildcard:
            return  # who has never named anything cannot say that it wants nothing
        if not first or names or not wildcard:
            state.ever_named = True
        state.names, state.wildcard = names, wildcard
        state.forget_what_is_not_wanted()
        self._request(type_url, state, version="" if first else state.version)

    def _first_request(self, type_url: str, state: ClientType) -> None:
        self._request(type_url, state, version=state.version)

    def _request(
        self, type_url: str, state: ClientType, *, version: str, error: str | None = None
    ) -> None:
        legacy = state.wildcard and not state.ever_named
        listed = state.names | ({"*"} if state.wildcard and not legacy else set())
        self._to_server.append(
            SotwRequest(
                type_url,
                node=self._node(),
                version=version,
                nonce=state.nonce,
                names=frozenset(listed),
                error=error,
            )
        )

    def _take(self, state: ClientType, response: Told[str], good: set[str], bad: set[str]) -> None:
        state.nonce = response.nonce
        if response.type_url in FULL_STATE:
            for name in set(state.contents) - good - bad:
                state.forget(name)
        state.accept(response, good)
        if not bad:
            state.version = response.version

    def _answer(self, state: ClientType, response: Told[str], error: str | None) -> None:
        self._request(response.type_url, state, version=state.version, error=error)


class DeltaModel(Model[DeltaRequest]):
    identifier = "towpath-delta"
    variant = DELTA

    def subscribe(self, type_url: str, *, names: set[str], wildcard: bool) -> None:
        first = type_url not in self.types
        state = self.types.setdefault(type_url, ClientType())
        if wildcard and not state.wildcard and not first:
            # Nothing tells a late response to a wildcard that has ended from one to the next.
            self.drain()
        before = state.names | ({"*"} if state.wildcard else set())
        after = names | ({"*"} if wildcard else set())
        dropped = state.names - names
        state.names, state.wildcard = set(names), wildcard
        state.forget_what_is_not_wanted()
        for name in dropped:
            state.forget(name)
        if first and after == {"*"}:
            after = set()
        if first or after != before:
            self._request(type_url, subscribe=after - before, unsubscribe=before - after)

    def reconnect(self) -> None:
        # What still warmed is asked for anew with its version: only the timer ends that.
        self.warming.clear()
        super().reconnect()

    def _first_request(self, type_url: str, state: ClientType) -> None:
        names = state.names | ({"*"} if state.wildcard else set())
        self._request(type_url, subscribe=names, unsubscribe=set(), state=state)

    def _request(
        self,
        type_url: str,
        *,
        subscribe: set[str],
        unsubscribe: set[str],
        state: ClientType | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> None:
        self._to_server.append(
            DeltaRequest(
                type_url,
                node=self._node(),
                nonce=nonce,
                subscribe=frozenset(subscribe),
                unsubscribe=frozenset(unsubscribe),
                initial_versions=dict(state.versions) if state else {},
                error=error,
            )
        )

    def _take(self, state: ClientType, response: Told[str], good: set[str], bad: set[str]) -> None:
        del bad
        state.accept(response, good)
        for name in response.removed:
            state.forget(name)

    def _answer(self, state: ClientType, response: Told[str], error: str | None) -> None:
        del state
        self._request(
            response.type_url, subscribe=set(), unsubscribe=set(), nonce=response.nonce, error=error
        )
