"""One stream's state, without I/O: its types, and the order between them.

Rules are quoted by their paragraph of
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (called XP in this package).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Set
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Self

from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, SHORT_NAMES, SIDECAR
from towpath.rollout.clients import ClientRecord
from towpath.rollout.records import Holding
from towpath.xds.absence import absence_policy
from towpath.xds.messages import Ack, Event, Node, ProtocolError, Reply, Request, SotwRequest
from towpath.xds.subscription import Subscription
from towpath.xds.substream import Substream, never
from towpath.xds.variant import Variant
from towpath.xds.view import Effect, View
from towpath.xds.waits import BREAK, MAKE, Waits
from towpath.xds.wire import Composer

MAKERS = (CLUSTER, ENDPOINTS)
"""What is used by others: sent before them, and removed after them."""

USERS = (LISTENER, ROUTES)
"""What uses clusters."""

ALONE = (SIDECAR,)
"""What waits for nothing, and nothing waits for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a step has left the client: of which types something is kept from it, whether something
    was left for later, and whether neither is so, and it has answered every response.
    """

    lacking: frozenset[str] = frozenset()
    more: bool = False
    at_rest: bool = True


class Session:
    """One stream: `on_request` and `on_snapshot` say what is to be sent, and what was learnt.

    Give it the first snapshot before the first request, and call `on_time` when `deadline` has
    come. A request for a type that is not served is answered with nothing; the stream's other
    types go on. A stream of *only_type* is of that type, named or not.

    A change is made before it breaks anything: what uses clusters waits until the client has
    acknowledged them and their endpoints, and clusters go when it has acknowledged what no longer
    uses them (XP, «Eventual consistency considerations»). Secrets come first of all: they say who
    may answer at an endpoint, so endpoints wait for them. What is taken away waits for nothing.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        composer: Composer,
        client: ClientRecord,
        waits: Waits,
        only_type: str | None = None,
        nonce: Callable[[], str] | None = None,
    ) -> None:
        self._variant = variant
        self._composer = composer
        self._view = View(client)
        self.waits = waits
        self._only_type = only_type
        self.node: Node | None = None
        self._substreams: dict[str, Substream[Any]] = {}
        self.types: Set[str] = self._substreams.keys()
        """Those that the client asks for."""
        # Unique over the stream, so that no type's nonce is ever taken for another's.
        self._nonce = nonce or map(str, count(1)).__next__
        self._kept = False  # clusters that are gone are kept for what still uses them
        self._led: set[str] = set()  # clusters sent before the client asked for endpoints
        self._new_clusters: set[str] = set()  # accepted, and perhaps without endpoints
        self._returned = False  # the client holds clusters from before this stream
        self.progress = Progress()
        """After the last step."""
        self.waiting: tuple[bool, bool] | None = None
        """What the last step found to be waiting, in both phases; None if it did not ask."""

    def fork(self) -> Self:
        """Another one in the same state, to be bound to a stream."""
        other = copy(self)
        other.part()
        return other

    def part(self) -> None:
        """Share nothing that changes with the one that this is a copy of."""
        self._view = self._view.fork()
        self._substreams = {t: one.fork(self._view) for t, one in self._substreams.items()}
        self.types = self._substreams.keys()
        self._led, self._new_clusters = set(self._led), set(self._new_clusters)

    def bind(self, client: ClientRecord, waits: Waits, node: Node | None) -> None:
        """It is that stream's from now on."""
        self._view.bind(client)
        self.waits, self.node = waits, node

    def note(self, call: Callable[[Session], list[Event]]) -> tuple[list[Event], list[Effect]]:
        """What a step gives, and what it did to the client."""
        self._view.effects = effects = list[Effect]()
        try:
            return call(self), effects
        finally:
            self._view.effects = None

    def signature(self) -> Hashable | None:
        """Equal for settled sessions that do the same from here on, whosever they are; None if that
        cannot be told.
        """
        if self._new_clusters or not self.settled:
            return None
        types = [substream.signature() for _, substream in sorted(self._substreams.items())]
        if None in types:
            return None
        view, led = self._view, frozenset(self._led)
        kind = self._variant.name, self._only_type, id(self._composer), id(view.client.revisions)
        return *kind, view.snapshot, view.absence, led, self._returned, *types

    def secrets(self, before: frozenset[str]) -> frozenset[str]:
        """Versions of the sets of secrets of which it may hold a part; *before*: those before its
        last step, which count until the client has taken others.
        """
        target, substream = self._view.snapshot.sets.get(SECRET), self._substreams.get(SECRET)
        present = frozenset[str]() if target is None else frozenset([target.version])
        if substream is None or substream.holds_just_its_target:
            return present
        return before | present

    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        return self._view.snapshot

    @property
    def latest_nonces(self) -> dict[str, str]:
        """By type, those that say something after their responses were answered."""
        nonces = {t: one.latest_nonce for t, one in self._substreams.items()}
        return {type_url: nonce for type_url, nonce in nonces.items() if nonce}

    def on_request(self, request: Request) -> list[Event]:
        """Take one request. Raises ProtocolError if the peer broke the protocol."""
        self.waiting = None
        events = self._take(request)
        self._stand()
        return events

    def _take(self, request: Request) -> list[Event]:
        self._check_node(request.node)
        if self._only_type is not None and request.type_url in ("", self._only_type):
            request = replace(request, type_url=self._only_type)
        elif self._only_type is not None:
            text = f"this stream is of {self._only_type}, and cannot carry {request.type_url}"
            raise ProtocolError(text)
        if not request.type_url:
            raise ProtocolError("a request on an aggregated stream must have a type_url")
        if request.type_url not in SHORT_NAMES:
            return []
        substream = self._substreams.get(request.type_url)
        if substream is None:
            self._begin(request)
            self._look()
            return self._advance()
        overtaken = substream.overtaken(request)
        events = substream.on_request(request)
        # What others were sent or have rejected since counts for all types.
        self._look()
        for event in events:
            if isinstance(event, Ack) and event.type_url == CLUSTER and not self._only_type:
                self._new_clusters |= event.added
        return events if overtaken else [*events, *self._advance()]

    def on_snapshot(
        self, snapshot: Snapshot, blocked: Iterable[tuple[str, frozenset[str]]] = ()
    ) -> list[Event]:
        """Take the newest snapshot, or the same one because more, or less, may be sent of it; what
        of it is *blocked* for the client, by type, as far as somebody has asked.
        """
        self._view.take(snapshot, blocked)
        self._look()
        revoked = self._replies(SHORT_NAMES, lambda substream: substream.revoke())
        events = [*revoked, *self._advance()]
        self._stand()
        return events

    def on_time(self) -> list[Event]:
        """Go on with what has waited long enough, or with what was left for later."""
        for substream in self._substreams.values():
            if substream.has_more:
                substream.look_at_more()
        self._look()
        events = self._advance()
        self._stand()
        return events

    @property
    def deadline(self) -> float | None:
        """When a wait ends although the client has not answered, by the waits' clock; at once if
        something was left for later.
        """
        return -math.inf if self.progress.more else self.waits.deadline

    @property
    def settled(self) -> bool:
        """True if the client has answered every response, and is kept from nothing."""
        return self.progress.at_rest and self.waits.deadline is None

    def subscription(self, type_url: str) -> Subscription | None:
        """What the client asks for of that type; None: it never has."""
        substream = self._substreams.get(type_url)
        return None if substream is None else substream.subscription

    def holding(self, type_url: str) -> Holding | None:
        """What is known of each resource of that type; None: not subscribed."""
        substream = self._substreams.get(type_url)
        return None if substream is None else substream.holding()

    def pairs(
        self, snapshot: Snapshot, request: Request | None = None
    ) -> Collection[tuple[Resource, Resource]]:
        """What a step to that snapshot, or with that request, may compare; see `Ahead`."""
        if isinstance(request, SotwRequest) and request.version and not request.nonce:
            # The client comes back, and holds another version.
            return self.fork().pairs_of_returned(snapshot, request)
        if request is None or request.error is not None or self.keeps_from_client:
            substreams = (one for t, one in self._substreams.items() if t != SECRET)
            return [pair for one in substreams for pair in one.pairs(snapshot.of(one.type_url))]
        return ()

    def pairs_of_returned(
        self, snapshot: Snapshot, request: Request
    ) -> Collection[tuple[Resource, Resource]]:
        """As `pairs`, after a request that may be the first of its type; of a fork alone."""
        self._view.take(snapshot)
        request = replace(request, type_url=self._only_type or request.type_url)
        if request.type_url in SHORT_NAMES and request.type_url not in self._substreams:
            self._begin(request)
        return self.pairs(snapshot)

    @property
    def keeps_from_client(self) -> bool:
        """True if after the last step something waits, or is blocked."""
        return bool(self.progress.lacking) or (self.waiting is not None and self.waiting[0])

    def accepted(self, type_url: str, name: str) -> Resource | None:
        """What the client has accepted under that name; None if nothing is known of that."""
        substream = self._substreams.get(type_url)
        return None if substream is None else substream.accepted(name)

    def _begin(self, request: Request) -> None:
        substream = self._variant.substream(
            request.type_url, self._view, composer=self._composer, nonce=self._nonce
        )
        leading = self._led if request.type_url == ENDPOINTS else set[str]()
        substream.begin(request, leading=leading)
        leading.clear()
        self._substreams[request.type_url] = substream
        self._returned |= substream.returned and request.type_url == CLUSTER and not self._only_type

    def _look(self) -> None:
        """Before anything is sent: from here on nothing changes but by the step itself."""
        for substream in self._substreams.values():
            if not self._rests(substream):
                substream.look()

    def _stand(self) -> None:
        """Say where this step has left the client."""
        substreams = self._substreams.values()
        more = any(one.has_more for one in substreams if one.brought)
        moving = [one.type_url for one in substreams if not self._rests(one)]
        lacking = self._view.lacking(moving) if moving else frozenset[str]()
        at_rest = not (more or lacking or self._any_unanswered(self._substreams))
        self.progress = Progress(lacking, more, at_rest)

    def _advance(self) -> list[Event]:
        """Send whatever may be sent now."""
        self._kept = False
        over = self.waits.over(MAKE)
        makers = [*self._push(SECRET), *self._push(CLUSTER, keep=self._must_keep)]
        await_secrets = not over and self._any_unanswered([SECRET])
        if await_secrets:
            makers += self._narrowed([ENDPOINTS])
        else:
            makers += self._push(ENDPOINTS, keep=self._must_keep)
        makers += [reply for t in ALONE for reply in self._push(t)]
        await_secrets = await_secrets and self._outdated(ENDPOINTS)
        narrowed: list[Reply] = []
        must_wait = self._must_wait(over=over) or await_secrets
        if must_wait:
            # Routes first: a live connection then is refused on its next request.
            narrowed = list(self._replies(reversed(USERS), lambda s: s.narrow()))
            asking = (t for t in USERS if self._asks(t))
            users = list(self._replies(asking, lambda s: s.push(owed_only=True)))
        else:
            users = [reply for t in USERS for reply in self._push(t)]
        waiting = must_wait and any(self._outdated(t) or self._searches(t) for t in USERS)
        waiting = waiting or await_secrets
        self.waiting = waiting, self._kept
        return [*narrowed, *makers, *users, *self.waits.update_both(self.waiting)]

    def _narrowed(self, types: Iterable[str]) -> list[Reply]:
        """What must not wait of types that have to: what is taken away, and what was asked for."""
        types = tuple(types)
        narrowed = list(self._replies(types, lambda s: s.narrow()))
        asking = (t for t in types if self._asks(t))
        return [*narrowed, *self._replies(asking, lambda s: s.push(owed_only=True))]

    def _replies(
        self, types: Iterable[str], step: Callable[[Substream[Any]], Reply | None]
    ) -> Iterator[Reply]:
        """What *step* gives for each of *types* that the client asks for, in this order."""
        for type_url in types:
            substream = self._substreams.get(type_url)
            if substream is None or self._rests(substream):
                continue
            reply = step(substream)
            if reply is not None:
                yield reply

    def _push(self, type_url: str, *, keep: Callable[[], bool] = never) -> Iterator[Reply]:
        """Push; if what is on trial after a rejection is no longer wanted, go on to what is."""
        substream = self._substreams.get(type_url)
        if substream is not None:
            yield from self._push_once(substream, keep=keep)
        client = self._view.client
        while type_url in client.bisections and client.bisections[type_url].groups:
            if self._any_unanswered([type_url]) or not client.next_half(type_url):
                return
            if substream is not None:
                substream.look()
                yield from self._push_once(substream, keep=keep)

    def _push_once(self, substream: Substream[Any], *, keep: Callable[[], bool]) -> Iterator[Reply]:
        if self._rests(substream):
            return
        reply = substream.push(keep=keep)
        self._kept = self._kept or substream.keeps
        if reply is not None:
            if reply.type_url == CLUSTER:
                self._lead(reply.fresh)
            yield reply

    def _lead(self, clusters: frozenset[str]) -> None:
        """Have the endpoints of these clusters sent again, though unchanged.

        A cluster that is new or changed warms until an endpoints *response* arrives, even if its
        endpoints are what they were (XP, «Resource warming»). Ours have the cluster's name.
        """
        endpoints = self._substreams.get(ENDPOINTS)
        if endpoints is None:
            self._led |= clusters
        else:
            endpoints.follow(clusters)

    def _rests(self, substream: Substream[Any]) -> bool:
        """True if nothing has happened since `Substream.rest` was set."""
        if substream.rest is None:
            return False
        resources, revision = substream.rest
        type_url = substream.type_url
        same = resources is self._view.sets.get(type_url)
        return same and revision == self._view.client.revisions[type_url]

    def _must_wait(self, *, over: bool) -> bool:
        if over:
            self._new_clusters.clear()
            return False
        return self._any_unanswered(MAKERS) or self._awaits_endpoints()

    def _awaits_endpoints(self) -> bool:
        """True if clusters are new to the client that it has not been sent the endpoints of.

        Envoy acknowledges clusters before it asks for their endpoints, and routes nothing to them
        until it has those.
        """
        if self._new_clusters:
            new, sent = frozenset(self._new_clusters), self._substreams.get(ENDPOINTS)
            new -= self._view.sets[ENDPOINTS].missing(new)
            new -= self._substreams[CLUSTER].resources.missing(new)
            if sent is not None:
                new &= sent.resources.missing(new)
            self._new_clusters = set(new)
        return bool(self._new_clusters)

    def _must_keep(self) -> bool:
        """True if nothing may be taken from the client that what it holds may still use."""
        if self.waits.over(BREAK):
            return False
        if self._returned and any(t not in self._substreams for t in USERS):
            return True  # what it holds of those it has not said yet
        return self._any_unanswered(USERS) or any(map(self._outdated, USERS))

    def _any_unanswered(self, types: Iterable[str]) -> bool:
        substreams = [self._substreams[t] for t in types if t in self._substreams]
        return True in [substream.waits_for_answer for substream in substreams]

    def _asks(self, type_url: str) -> bool:
        substream = self._substreams.get(type_url)
        return substream is not None and not self._rests(substream) and substream.asks

    def _outdated(self, type_url: str) -> bool:
        substream = self._substreams.get(type_url)
        return substream is not None and not self._rests(substream) and substream.outdated

    def _searches(self, type_url: str) -> bool:
        """True if it is still searched for what the client has rejected of that type: the search
        goes on with the pushes.
        """
        bisection = self._view.client.bisections.get(type_url)
        return type_url in self._substreams and bool(bisection and bisection.groups)

    def _check_node(self, node: Node | None) -> None:
        """The first request says who speaks; it may be said again, but not changed."""
        if self.node is None:
            if node is None or not node.id:
                raise ProtocolError("the first request on a stream must have a node with an id")
            self.node = node
            self._view.absence = absence_policy(node)
        elif node is not None and node.id and node.id != self.node.id:
            raise ProtocolError(
                f"node id {node.id!r} differs from {self.node.id!r}, which this stream began with"
            )
