"""What gRPC's clients in several languages do, as scripts: each must follow what is taken away and
what returns, also when that was while it had no stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from support.fake_time import Clock
from support.resources import Contents, FakeVocabulary, old, resource, snapshot
from support.xds.told import Told
from support.xds_peer import delta_session, sotw_session, told
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.xds.messages import DeltaRequest, Node, Reply, SotwRequest
from towpath.xds.wire import nonce_field

HERE: Contents = {
    LISTENER: {"hello.shop": "routes shop/hello"},
    ROUTES: {"shop/hello": "open"},
    CLUSTER: {"shop/hello": "c"},
    ENDPOINTS: {"shop/hello": "10.0.0.1"},
}
GONE: Contents = {LISTENER: {}, ROUTES: {}, CLUSTER: {}, ENDPOINTS: {}}
CLOSED_TYPES = (LISTENER, ROUTES, ENDPOINTS)


def _closed(type_url: str, name: str) -> Resource | None:
    return resource(type_url, name, "closed") if type_url in CLOSED_TYPES else None


def _snapshot(contents: Contents) -> Snapshot:
    vocabulary = FakeVocabulary(
        revoked=_closed, closed=_closed, intersection=old, kept=frozenset({LISTENER})
    )
    return Snapshot(snapshot(contents).sets, vocabulary)


@dataclass
class _Client:
    """Follows listener, routes, cluster and endpoints; `held` is what it goes by.

    It keeps what is merely left out (A88, without fail_on_data_errors). One that `forgets` drops
    a type that nobody asks for any more without a word to the server, and begins it anew later.
    """

    agent: str
    forgets: bool = False
    held: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    version: dict[str, str] = field(default_factory=dict)
    nonce: dict[str, str] = field(default_factory=dict)

    def connect(self, contents: Contents) -> None:
        self.nonce.clear()
        self.clock = Clock()
        self.session = sotw_session(clock=self.clock)
        self.session.on_snapshot(_snapshot(contents))
        self.node: Node | None = Node("curl.curl", self.agent)
        for type_url in (LISTENER, ROUTES, CLUSTER, ENDPOINTS):
            if self.names.get(type_url):
                self._ask(type_url)

    def dial(self, name: str) -> None:
        self.names[LISTENER] = {name}
        self._ask(LISTENER)

    def publish(self, contents: Contents) -> None:
        self._take(told(self.session.on_snapshot(_snapshot(contents))))

    @property
    def called(self) -> str:
        """Where a call goes."""
        (listener,) = self.held.get(LISTENER, {"": "nothing"}).values()
        if not listener.startswith("routes "):
            return "refused"
        route = self.held.get(ROUTES, {}).get(listener.removeprefix("routes "), "unknown")
        return self.held.get(ENDPOINTS, {}).get("shop/hello", "?") if route == "open" else "refused"

    def _ask(self, type_url: str) -> None:
        node, self.node = self.node, None
        request = SotwRequest(
            type_url,
            node=node,
            names=frozenset(self.names[type_url]),
            nonce=self.nonce.get(type_url, ""),
            version=self.version.get(type_url, ""),
        )
        self._take(told(self.session.on_request(request)))

    def _take(self, responses: list[Told[str]]) -> None:
        for response in responses:
            if response.type_url not in self.names:
                continue  # nobody here knows that type
            held = self.held.setdefault(response.type_url, {})
            held |= response.contents
            self.version[response.type_url] = response.version
            self.nonce[response.type_url] = response.nonce
            self._ask(response.type_url)
            self._follow()

    def _follow(self) -> None:
        listeners = self.held.get(LISTENER, {}).values()
        routes = {one.removeprefix("routes ") for one in listeners if one.startswith("routes ")}
        self._want(ROUTES, routes)
        clusters = {n for n in routes if self.held.get(ROUTES, {}).get(n) == "open"}
        self._want(CLUSTER, clusters)
        self._want(ENDPOINTS, {n for n in clusters if n in self.held.get(CLUSTER, {})})

    def _want(self, type_url: str, names: set[str]) -> None:
        if self.names.get(type_url, set()) == names:
            return
        self.names[type_url] = names
        kept = {n: c for n, c in self.held.get(type_url, {}).items() if n in names}
        self.held[type_url] = kept
        if names or not self.forgets:
            self._ask(type_url)
            return
        for known in (self.names, self.version, self.nonce, self.held):
            known.pop(type_url, None)

    def let_waits_end(self) -> None:
        self.clock.now += 2.0
        self._take(told(self.session.on_time()))


CLIENTS = {
    "keeps what is left out": _Client("gRPC Go"),
    "forgets a type without a word": _Client("gRPC Rust", forgets=True),
}
each_client = pytest.mark.parametrize("kind", CLIENTS)


def _client(kind: str) -> _Client:
    made = CLIENTS[kind]
    client = _Client(made.agent, forgets=made.forgets)
    client.connect(HERE)
    client.dial("hello.shop")
    assert "10.0.0.1" == client.called
    return client


@each_client
def test_what_is_revoked_during_an_outage_is_refused_after_it(kind: str) -> None:
    client = _client(kind)

    client.connect(GONE)

    assert "refused" == client.called


@each_client
def test_what_returns_after_an_outage_is_called_again(kind: str) -> None:
    client = _client(kind)
    client.connect(GONE)

    client.publish(HERE)
    client.let_waits_end()

    assert "10.0.0.1" == client.called


@each_client
def test_what_goes_and_returns_is_refused_and_called_again(kind: str) -> None:
    client = _client(kind)
    for _ in range(3):
        client.publish(GONE)
        client.let_waits_end()
        assert "refused" == client.called
        client.publish(HERE)
        client.let_waits_end()
        assert "10.0.0.1" == client.called


def _ask(session: object, type_url: str, *names: str, nonce: str = "") -> list[Told[str]]:
    request = SotwRequest(type_url, node=None, names=frozenset(names), nonce=nonce)
    return told(session.on_request(request))  # type: ignore[attr-defined]


def test_a_listener_that_goes_is_kept_for_who_has_it_and_never_sent_again() -> None:
    """One that goes and returns unchanged is not taken up again by every client."""
    session = sotw_session()
    session.on_snapshot(_snapshot(HERE))
    node = Node("curl.curl", "gRPC Node.js")
    first = SotwRequest(LISTENER, node=node, names=frozenset({"hello.shop"}))
    (listener,) = told(session.on_request(first))
    _ask(session, LISTENER, "hello.shop", nonce=listener.nonce)
    (routes,) = _ask(session, ROUTES, "shop/hello")
    _ask(session, ROUTES, "shop/hello", nonce=routes.nonce)

    gone = told(session.on_snapshot(_snapshot(GONE)))

    assert [(ROUTES, {"shop/hello": "closed"})] == [(t.type_url, t.contents) for t in gone]
    _ask(session, ROUTES, "shop/hello", nonce=gone[0].nonce)
    back = told(session.on_snapshot(_snapshot(HERE)))
    assert [(ROUTES, {"shop/hello": "open"})] == [(t.type_url, t.contents) for t in back]


def test_a_listener_from_before_the_stream_is_closed_and_a_name_that_is_new_is_an_error() -> None:
    session = sotw_session()
    session.on_snapshot(_snapshot(GONE))
    node = Node("curl.curl", "gRPC Node.js")
    names = frozenset({"hello.shop"})
    (closed,) = session.on_request(SotwRequest(LISTENER, node=node, version="v", names=names))
    assert isinstance(closed, Reply)
    assert b"hello.shop=closed" in closed.body

    (told_of,) = session.on_request(
        SotwRequest(LISTENER, nonce=closed.nonce, names=names | {"helo.shop"})
    )[1:]
    assert isinstance(told_of, Reply)
    assert b"hello.shop=closed" in told_of.body + nonce_field("")
    assert b"there is no 'helo.shop' here" in told_of.body


def test_a_client_that_names_no_cluster_is_sent_none_and_waited_for_by_nobody() -> None:
    """One that has dropped all of a type ignores, and never answers, what comes of it."""
    session = sotw_session()
    session.on_snapshot(_snapshot(HERE))
    node = Node("curl.curl", "gRPC Java")
    first = SotwRequest(CLUSTER, node=node, names=frozenset({"shop/hello"}))
    (cluster,) = told(session.on_request(first))
    (routes,) = _ask(session, ROUTES, "shop/hello")

    assert [] == _ask(session, CLUSTER, nonce=cluster.nonce)
    assert [] == _ask(session, ROUTES, "shop/hello", nonce=routes.nonce)
    other = {**HERE, CLUSTER: {}, ROUTES: {"shop/hello": "elsewhere"}}
    assert [ROUTES] == [t.type_url for t in told(session.on_snapshot(_snapshot(other)))]
    assert session.deadline is None


@pytest.mark.parametrize("type_url", [LISTENER, ROUTES, CLUSTER, ENDPOINTS])
def test_a_subscription_begun_anew_is_answered_though_nothing_has_changed(type_url: str) -> None:
    session = sotw_session()
    session.on_snapshot(_snapshot(HERE))
    names = frozenset(HERE[type_url])
    node = Node("curl.curl", "gRPC Rust")
    (first,) = told(session.on_request(SotwRequest(type_url, node=node, names=names)))
    assert [] == _ask(session, type_url, *names, nonce=first.nonce)

    (again,) = _ask(session, type_url, *names)

    assert first.contents == again.contents
    assert [] == _ask(session, type_url, *names, nonce=again.nonce)


def test_a_client_of_the_delta_variant_is_sent_closed_ones_of_what_it_brought() -> None:
    session = delta_session()
    session.on_snapshot(_snapshot(GONE))
    node: Node | None = Node("curl.curl", "gRPC of somebody")
    for type_url in CLOSED_TYPES:
        (name,) = HERE[type_url]
        request = DeltaRequest(
            type_url, node=node, subscribe=frozenset((name,)), initial_versions={name: "v1"}
        )
        (response,) = told(session.on_request(request))
        assert {name: "closed"} == response.contents
        node = None
