"""Sessions that streams share: where a thousand streams are in the same state, each step from there
is worked out once, and looked up by the others.

A session that streams share is never changed: a step from it leads to a fork of it, which is
remembered with what the step gave. Who is alone has its session for itself, and steps that; once it
has settled, it is shared with those that have come to the same state.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from itertools import count
from weakref import WeakValueDictionary

from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET
from towpath.rollout.clients import ClientRecord, Conditions
from towpath.rollout.records import Holding
from towpath.xds.absence import absence_policy
from towpath.xds.latest import Latest
from towpath.xds.messages import Event, Node, Reply, Request, SotwRequest, Waited
from towpath.xds.nonces import Nonces
from towpath.xds.session import Progress, Session
from towpath.xds.subscription import Subscription
from towpath.xds.view import Effect
from towpath.xds.waits import Waits

MOST_KINDS = 64
"""Of sessions that have not begun: variants, and cohorts of clients; those that began last."""

OPENING_STEPS = 24
"""How many steps a stream takes at most, about, until its client has all that it asks for …"""

OPENED = frozenset({CLUSTER, ENDPOINTS, LISTENER, ROUTES})
"""… and of what it has something by then."""


class State:
    """A session, and the steps from it that are remembered.

    `streams` counts those that are in it, if others may find it by its *signature*. It is *fixed*
    if steps lead to it: whoever leaves it leaves it as it is. `opening` is how many more steps are
    remembered because others begin likewise, though nobody else is there at the moment. `secrets`
    are the versions of the sets of secrets of which there may be a part in the session.
    """

    __slots__ = (
        *("__weakref__", "fixed", "opening", "secrets"),
        *("session", "signature", "steps", "streams"),
    )

    def __init__(self, session: Session, opening: int = 0) -> None:
        self.session = session
        self.opening = opening
        self.signature: Hashable | None = None
        self.streams = 0
        self.fixed = False
        self.secrets = frozenset[str]()
        self.steps: WeakValueDictionary[Hashable, Step] = WeakValueDictionary()


@dataclass(eq=False)
class Step:
    """What one step gave but for waits that were over, what it did to the client, which of the
    waits it began or ended, and the state it led to: one that has settled *elsewhere*, or not.
    """

    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    waiting: tuple[bool, bool] | None
    state: State
    elsewhere: bool

    @property
    def bodies(self) -> list[bytes]:
        """What it said."""
        return [event.body for event in self.events if isinstance(event, Reply)]


class SharedSessions:
    """The sessions of all streams of a server."""

    def __init__(self) -> None:
        self.nonce = map(str, count(1)).__next__
        self._settled: WeakValueDictionary[Hashable, State] = WeakValueDictionary()
        self.latest = Latest[Step]()
        self._first: OrderedDict[Hashable, State] = OrderedDict()

    def begin(self, kind: Hashable, client: ClientRecord, new: Callable[[], Session]) -> State:
        """The state of a stream that has said nothing yet, for all clients of the cohort whose
        sessions are made by *new*; *kind* tells them from others.
        """
        key = kind, id(client.revisions)
        state = self._first.get(key)
        if state is None:
            # The session has a client of the cohort, so that no other takes its place meanwhile.
            state = self._first[key] = State(new(), OPENING_STEPS)
            state.fixed = True
            if len(self._first) > MOST_KINDS:
                self._first.popitem(last=False)
        self._first.move_to_end(key)
        return state

    def remember(self, state: State, key: Hashable, step: Step) -> None:
        """The latest steps are kept; a state has those of its own that are."""
        step.state.fixed = True
        state.steps[key] = step
        self.latest.add(step, step.bodies, step.state.secrets)

    def settle(self, state: State) -> State:
        """The state that is just this one, if it has settled and there is such, else itself."""
        signature = state.session.signature()
        if signature is None:
            return state
        same = self._settled.setdefault(signature, state)
        same.signature = signature
        return same

    def withdraw(self, state: State) -> None:
        """Nobody is to find it any more."""
        if self._settled.get(state.signature) is state:
            del self._settled[state.signature]
        state.signature = None


class SharedSession:
    """One stream's session, with the calls of `Session`.

    What is the stream's own is its client, its waits, who it says it is, and its nonces.
    """

    def __init__(
        self, state: State, sessions: SharedSessions, *, client: ClientRecord, waits: Waits
    ) -> None:
        self._state = state
        self._shared = state.fixed
        self._sessions = sessions
        self._client = client
        self._waits = waits
        self._counted: State | None = None
        self._node: Node | None = None
        self._nonces = Nonces()
        self._secrets = ""  # the version of those that its newest snapshot has

    def on_request(self, request: Request) -> list[Event]:
        """As `Session.on_request`."""
        nonce = self._nonces.translate(request)
        events = self._step(
            self._key(request, nonce),
            lambda session: session.on_request(request.with_nonce(nonce)),
        )
        self._node = self._node or request.node
        return events

    def on_snapshot(self, snapshot: Snapshot) -> list[Event]:
        """As `Session.on_snapshot`."""
        secrets = snapshot.sets.get(SECRET)
        before, self._secrets = self._secrets, "" if secrets is None else secrets.version
        if self._secrets == before:
            return self._step_to(snapshot)
        self._sessions.latest.enter(self._secrets)
        try:
            return self._step_to(snapshot)
        finally:
            self._sessions.latest.leave(before)

    def _step_to(self, snapshot: Snapshot) -> list[Event]:
        if not self._shared:
            return self._step(None, lambda session: session.on_snapshot(snapshot))
        _, conditions = key = self._to(snapshot)
        return self._step(key, lambda session: session.on_snapshot(snapshot, conditions.blocked))

    def _to(self, snapshot: Snapshot) -> tuple[Snapshot, Conditions]:
        """What a step to that snapshot hangs on besides the session."""
        return snapshot, self._client.conditions(snapshot, self._state.session.types)

    def on_time(self) -> list[Event]:
        """As `Session.on_time`."""
        return self._step(None, lambda session: session.on_time())

    @property
    def snapshot(self) -> Snapshot:
        """As `Session.snapshot`."""
        return self._state.session.snapshot

    @property
    def progress(self) -> Progress:
        """As `Session.progress`."""
        return self._state.session.progress

    @property
    def deadline(self) -> float | None:
        """As `Session.deadline`."""
        return -math.inf if self._state.session.progress.more else self._waits.deadline

    def subscription(self, type_url: str) -> Subscription | None:
        """As `Session.subscription`."""
        return self._state.session.subscription(type_url)

    def holding(self, type_url: str) -> Holding | None:
        """As `Session.holding`."""
        return self._session.holding(type_url)

    def pairs(
        self, snapshot: Snapshot, request: Request | None = None
    ) -> Collection[tuple[Resource, Resource]]:
        """As `Session.pairs`; none if others have taken the step."""
        if self._shared and (request is None or self._state.session.keeps_from_client):
            if request is None:
                key: Hashable = self._to(snapshot)
            else:
                key = self._key(request, self._nonces.of(request))
            if key is not None and key in self._state.steps:
                return ()
        return self._session.pairs(snapshot, request)

    def accepted(self, type_url: str, name: str) -> Resource | None:
        """As `Session.accepted`."""
        return self._state.session.accepted(type_url, name)

    def close(self) -> None:
        """The stream has ended."""
        self._uncount()
        self._sessions.latest.leave(self._secrets)
        self._secrets = ""

    def _uncount(self) -> None:
        if self._counted is not None:
            self._counted.streams -= 1
            self._counted = None

    @property
    def _session(self) -> Session:
        """This stream's, until another takes it up."""
        session = self._state.session
        if session.waits is not self._waits or session.node is not self._node:
            session.bind(self._client, self._waits, self._node)
        return session

    def _key(self, request: Request, nonce: str) -> Hashable | None:
        """What the step hangs on besides the session, by whose *nonce* the request answers; None if
        on more than that can be told.
        """
        node, policy = request.node, None
        if not self._shared or request.error is not None:
            return None
        if node is not None and self._node is None:
            policy = absence_policy(node) if node.id else None
        if node is not None and policy is None and node != self._node:
            return None
        session = self._state.session
        types = (*session.types, request.type_url)
        conditions = self._client.conditions(session.snapshot, types)
        what = request.type_url, nonce, policy
        if isinstance(request, SotwRequest):
            return "sotw", *what, request.version, request.names, conditions
        if request.initial_versions:
            return None
        return "delta", *what, request.subscribe, request.unsubscribe, conditions

    def _step(self, key: Hashable | None, call: Callable[[Session], list[Event]]) -> list[Event]:
        self._leave()
        if key is None or not self._shared or self._client.has_rejected or self._waits.any_over:
            return self._step_alone(call)
        step = self._state.steps.get(key)
        if step is None:
            events = self._first_step(key, call)
        else:
            for effect in step.effects:
                effect(self._client)
            events = self._nonces.name(step.events)
            if step.waiting is not None:
                events += self._waits.update_both(step.waiting)
            self._arrive(step)
        return events

    def _first_step(self, key: Hashable, call: Callable[[Session], list[Event]]) -> list[Event]:
        before = self._state
        state = State(before.session.fork(), max(before.opening - 1, 0))
        self._state = state
        events, effects = self._session.note(call)
        state.secrets = self._secrets_after(before.secrets)
        if OPENED <= state.session.types and state.session.progress.at_rest:
            state.opening = 0
        given = tuple(event for event in events if not isinstance(event, Waited))
        end = self._sessions.settle(state) if self._settles else state
        step = Step(given, tuple(effects), state.session.waiting, end, end is not state)
        self._sessions.remember(before, key, step)
        named = self._nonces.name(events)
        self._arrive(step)
        return named

    def _step_alone(self, call: Callable[[Session], list[Event]]) -> list[Event]:
        before = self._state.secrets
        if self._shared:
            self._state, self._shared = State(self._state.session.fork()), False
        events = self._nonces.name(call(self._session))
        self._state.secrets = self._secrets_after(before)
        if self._settles:
            state = self._sessions.settle(self._state)
            if state.signature is not None:
                self._enter(state, elsewhere=state is not self._state)
        return events

    def _secrets_after(self, before: frozenset[str]) -> frozenset[str]:
        """Those of which the session may hold a part now, where it was *before*."""
        if not before and not self._secrets:
            return before
        return self._state.session.secrets(before)

    @property
    def _settles(self) -> bool:
        """False if the stream cannot share its session: it is not at rest, or for a reason that is
        not in the session.
        """
        if not self._state.session.progress.at_rest:
            return False
        return not self._client.has_rejected and self._waits.deadline is None

    def _arrive(self, step: Step) -> None:
        self._enter(step.state, elsewhere=step.elsewhere)

    def _enter(self, state: State, *, elsewhere: bool) -> None:
        if elsewhere:
            self._nonces.adopt(state.session.latest_nonces)
        self._state, self._shared = state, True
        if state.signature is not None:
            state.streams += 1
            self._counted = state

    def _leave(self) -> None:
        """Go on from the present state; who was alone there goes on alone."""
        state = self._state
        if self._counted is None:
            return
        self._uncount()
        if state.streams > 0 or state.opening or len(state.steps):
            return  # others are there, were just now, or will come
        if state.fixed:
            self._state = State(state.session.fork())
            self._state.secrets = state.secrets
        else:
            self._sessions.withdraw(state)
        self._shared = False
