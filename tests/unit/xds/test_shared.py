"""Streams that share their sessions are told the same as streams that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from gc import get_referents
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.fake_time import Clock
from support.model_clients import ALL_TYPES, FULL_STATE
from support.objects import mesh_of
from support.resources import snapshot
from support.xds_peer import WAIT_S
from towpath.hub.comparison import Comparisons
from towpath.hub.queries import Queries
from towpath.model.names import Account, ClientKind
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, SECRET
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.settings import RolloutSettings
from towpath.xds import latest, shared
from towpath.xds.messages import DeltaRequest, Event, Node, Reply, Request, SotwRequest
from towpath.xds.session import Session
from towpath.xds.shared import SharedSession, SharedSessions
from towpath.xds.variant import DELTA, SOTW, Variant
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer

BUILD = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
STREAMS = 3
ALL = STREAMS
NAMES = ("a", "b")
VARIANTS = pytest.mark.parametrize("variant", [SOTW, DELTA], ids=["sotw", "delta"])

Step = tuple[Any, ...]


class _Stream:
    """One client's stream, with what it was sent and has not answered, the oldest first."""

    def __init__(self, number: int, world: World) -> None:
        self.node = Node(id=f"pod-{number}.shop", user_agent="envoy")
        account = Account("shop", f"account-{number}")
        self.client = world.quarantine.client(self.node.id, BUILD, account)
        self.client.open(self)
        self.names: dict[str, tuple[str, ...]] = {}
        self.unanswered: list[Reply] = []
        self.snapshot: Snapshot | None = None
        self.nudged = False
        self._said_who = False
        self._variant = world.variant
        waits = Waits(clock=world.clock, longest=WAIT_S)
        shared = world.shared
        new = partial(
            Session,
            world.variant,
            composer=world.composer,
            client=self.client,
            waits=waits,
            nonce=shared.nonce if shared else None,
        )
        self.session: Session | SharedSession
        if shared is None:
            self.session = new()
        else:
            state = shared.begin(world.variant.name, self.client, new)
            self.session = SharedSession(state, shared, client=self.client, waits=waits)

    def nudge(self) -> None:
        self.nudged = True

    def note(self, events: list[Event]) -> list[Event]:
        self.unanswered += [event for event in events if isinstance(event, Reply)]
        return events

    def publish(self, newest: Snapshot) -> list[Event]:
        self.snapshot, self.nudged = newest, False
        self.client.show(self, newest)
        return self.note(self.session.on_snapshot(newest))

    def ask(self, type_url: str, names: tuple[str, ...]) -> list[Event]:
        before, self.names[type_url] = self.names.get(type_url, ()), names
        if self._variant is SOTW:
            return self.say(SotwRequest(type_url, names=frozenset(names)))
        gone = tuple(name for name in before if name not in names)
        return self.say(
            DeltaRequest(type_url, subscribe=frozenset(names), unsubscribe=frozenset(gone))
        )

    def answer(self, error: str | None) -> list[Event]:
        if not self.unanswered:
            return []
        reply = self.unanswered.pop(0)
        if self._variant is SOTW:
            names = frozenset(self.names[reply.type_url])
            version = "" if error else reply.version
            return self.say(
                SotwRequest(
                    reply.type_url, version=version, nonce=reply.nonce, names=names, error=error
                )
            )
        return self.say(DeltaRequest(reply.type_url, nonce=reply.nonce, error=error))

    def say(self, request: Request) -> list[Event]:
        if not self._said_who:
            self._said_who = True
            request = replace(request, node=self.node)
        return self.note(self.session.on_request(request))


class World:
    """Some clients of one build, and all that their streams gave."""

    def __init__(self, variant: Variant, *, shared: bool) -> None:
        self.variant = variant
        self.clock = Clock()
        self.composer = Composer(identifier="towpath")
        self.shared = SharedSessions() if shared else None
        self.quarantine = Quarantine(RolloutSettings(canaries=1), clock=self.clock)
        self._compare = Comparisons(self.quarantine.intersections, Queries(mesh_of()).do)
        self.streams = [_Stream(number, self) for number in range(STREAMS)]

    def do(self, step: Step) -> list[object]:
        """What the step leads to, and what is then known of each stream."""
        what, which, *arguments = step
        told = list[Event]()
        for stream in self.streams if which == ALL else [self.streams[which]]:
            told += self._do(stream, what, arguments)
        while any(stream.nudged for stream in self.streams):
            for stream in self.streams:
                if stream.nudged and stream.snapshot is not None:
                    told += stream.publish(stream.snapshot)
        return [*map(_without_nonce, told), *map(_what_is_known, self.streams)]

    def _do(self, stream: _Stream, what: str, arguments: list[Any]) -> list[Event]:
        match what:
            case "publish":
                newest = snapshot(*arguments)
                if stream.snapshot is not None:
                    changes = self._compare.between(stream.snapshot, newest)
                    self.quarantine.changed(BUILD, changes)
                return stream.publish(newest)
            case "ask":
                return stream.ask(*arguments)
            case "answer":
                return stream.answer(*arguments)
        self.clock.now += WAIT_S
        self.quarantine.pass_time()
        return stream.note(stream.session.on_time())


def _without_nonce(event: Event) -> Event:
    """Each stream counts its own, in the order in which they are written."""
    return replace(event, nonce="") if isinstance(event, Reply) else event


def _what_is_known(stream: _Stream) -> object:
    holdings = [stream.session.holding(type_url) for type_url in ALL_TYPES]
    return stream.session.progress.at_rest, stream.session.deadline, holdings


which = st.one_of(st.just(ALL), st.integers(0, STREAMS - 1))
some_names = st.sampled_from([(), ("a",), ("a", "b"), ("b", "gone")])
contents = st.fixed_dictionaries(
    {t: st.dictionaries(st.sampled_from(NAMES), st.sampled_from("12")) for t in ALL_TYPES}
)


def _asking(type_url: str) -> st.SearchStrategy[Step]:
    names = st.just(("*",)) if type_url in FULL_STATE else some_names
    return st.tuples(st.just("ask"), which, st.just(type_url), names)


asks = st.one_of(*map(_asking, ALL_TYPES))
publishes = st.tuples(st.just("publish"), which, contents)
answers = st.tuples(st.just("answer"), which, st.none())
rejections = st.tuples(st.just("answer"), which, st.just("a: no"))
time = st.tuples(st.just("time"), which)
steps = st.lists(
    st.one_of(asks, publishes, answers, answers, answers, rejections, time), min_size=5, max_size=30
)


@VARIANTS
@settings(max_examples=examples(150))
@given(start=contents, steps=steps)
def test_whatever_happens_shared_sessions_tell_each_stream_what_its_own_would(
    variant: Variant, start: dict[str, dict[str, str]], steps: list[Step]
) -> None:
    apart, together = World(variant, shared=False), World(variant, shared=True)
    first = [("ask", ALL, t, ("*",) if t in FULL_STATE else NAMES) for t in ALL_TYPES]
    for step in [("publish", ALL, start), *first, *[("answer", ALL, None)] * 6, *steps]:
        assert apart.do(step) == together.do(step), step


@VARIANTS
def test_streams_in_the_same_state_take_each_step_once(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, calls = World(variant, shared=True), list[str]()
    for name in ("on_request", "on_snapshot"):
        _count(calls, name, monkeypatch)
    clusters, endpoints = {"a": "1", "b": "1"}, {"a": "1", "b": "1"}
    world.do(("publish", ALL, {CLUSTER: clusters, ENDPOINTS: endpoints}))
    world.do(("ask", ALL, CLUSTER, ("*",)))
    world.do(("answer", ALL, None))
    world.do(("ask", ALL, ENDPOINTS, NAMES))
    world.do(("answer", ALL, None))
    assert all(stream.session.progress.at_rest for stream in world.streams)
    calls.clear()

    told = world.do(("publish", ALL, {CLUSTER: clusters, ENDPOINTS: endpoints | {"a": "2"}}))
    told += world.do(("answer", ALL, None))

    assert STREAMS == sum(isinstance(event, Reply) for event in told)
    assert ["on_snapshot", "on_request"] == calls
    assert all(stream.session.progress.at_rest for stream in world.streams)


def test_what_an_answer_may_compare_is_looked_for_once_while_others_are_canaries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, calls = World(DELTA, shared=True), list[str]()
    world.do(("publish", ALL, {CLUSTER: {"a": "1"}, ENDPOINTS: {"a": "1"}}))
    for type_url in (CLUSTER, ENDPOINTS):
        world.do(("ask", ALL, type_url, ("*",)))
        world.do(("answer", ALL, None))
    world.do(("publish", ALL, {CLUSTER: {"a": "2"}, ENDPOINTS: {"a": "2"}}))
    canary, *waiting = world.streams
    assert [2, 1, 1] == [len(stream.unanswered) for stream in (canary, *waiting)]
    _count(calls, "pairs", monkeypatch)

    for stream in waiting:
        answer = DeltaRequest(ENDPOINTS, nonce=stream.unanswered[0].nonce)
        assert isinstance(stream.session, SharedSession)
        assert stream.snapshot is not None
        stream.session.pairs(stream.snapshot, answer)
        stream.say(answer)

    assert ["pairs"] == calls


@VARIANTS
@pytest.mark.parametrize(
    ("most", "expected"), [(6_000, []), (3_000, ["on_snapshot", "on_request"])]
)
def test_of_the_steps_that_are_remembered_as_many_bytes_are_kept_as_allowed(
    variant: Variant, most: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "REMEMBERED_BYTES", most)
    world, calls = World(variant, shared=True), list[str]()
    for stream, content in enumerate("12"):
        world.do(("publish", stream, {CLUSTER: {"a": content * 2_000}}))
        world.do(("ask", stream, CLUSTER, ("*",)))
    for name in ("on_request", "on_snapshot"):
        _count(calls, name, monkeypatch)

    world.do(("publish", 2, {CLUSTER: {"a": "1" * 2_000}}))
    world.do(("ask", 2, CLUSTER, ("*",)))

    assert expected == calls


@VARIANTS
@pytest.mark.parametrize("streams", [STREAMS, 1])
def test_a_key_that_was_replaced_is_in_nothing_that_is_remembered(
    variant: Variant, streams: int
) -> None:
    world = World(variant, shared=True)
    del world.streams[streams:]
    content = {CLUSTER: {"a": "1"}, SECRET: {"leaf": "key-1"}}
    world.do(("publish", ALL, content))
    for type_url, name in ((CLUSTER, "*"), (SECRET, "leaf")):
        world.do(("ask", ALL, type_url, (name,)))
        world.do(("answer", ALL, None))
    assert _holds(world.shared, "key-1")

    for number in "23":
        content[SECRET]["leaf"] = f"key-{number}"
        world.do(("publish", ALL, content))
        world.do(("answer", ALL, None))

    assert not _holds(world, "key-1")
    assert not _holds(world, "key-2")
    assert _holds(world, "key-3")
    while world.streams:
        _end(world.streams.pop())
    assert not _holds(world.shared, "key-3")


@VARIANTS
def test_streams_of_one_account_take_the_step_to_a_new_key_once(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, calls = World(variant, shared=True), list[str]()
    world.do(("publish", ALL, {SECRET: {"leaf": "key-1"}}))
    world.do(("ask", ALL, SECRET, ("leaf",)))
    world.do(("answer", ALL, None))
    for name in ("on_request", "on_snapshot"):
        _count(calls, name, monkeypatch)

    for number in "23":
        world.do(("publish", ALL, {SECRET: {"leaf": f"key-{number}"}}))
        world.do(("answer", ALL, None))

    assert ["on_snapshot", "on_request"] * 2 == calls


def test_a_kind_that_many_streams_begin_in_is_not_forgotten_for_others() -> None:
    world = World(SOTW, shared=True)
    sessions, client = SharedSessions(), world.streams[0].client
    new = partial(
        Session,
        SOTW,
        composer=world.composer,
        client=client,
        waits=Waits(clock=world.clock, longest=WAIT_S),
    )
    usual = sessions.begin("usual", client, new)
    for number in range(shared.MOST_KINDS):
        sessions.begin(f"other {number}", client, new)
        assert usual is sessions.begin("usual", client, new)


def _count(calls: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method: Callable[..., Any] = getattr(Session, name)

    def count(self: Session, *args: Any) -> Any:
        calls.append(name)
        return method(self, *args)

    monkeypatch.setattr(Session, name, count)


def _end(stream: _Stream) -> None:
    assert isinstance(stream.session, SharedSession)
    stream.session.close()
    stream.client.close(stream)


def _holds(root: object, text: str) -> bool:
    """True if bytes with that text can be reached from there, but by what is everybody's."""
    todo, seen = [root], set[int]()
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType)):
            continue
        seen.add(id(one))
        if isinstance(one, bytes) and text.encode() in one:
            return True
        todo += one.__closure__ or () if isinstance(one, FunctionType) else get_referents(one)
    return False
