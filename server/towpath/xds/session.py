"""What the two variants of the protocol have in common: one stream's state, without I/O.

Rules are quoted by their paragraph of
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (called XP in this package).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, SHORT_NAMES, SIDECAR
from towpath.rollout.clients import ClientRecord
from towpath.rollout.records import Holding
from towpath.xds.absence import Fault, Manners, faults, manners_of
from towpath.xds.messages import Ack, Event, Nack, Node, ProtocolError, Request
from towpath.xds.waits import BREAK, MAKE, Waits
from towpath.xds.wire import Composer

WILDCARD_TYPES = frozenset({CLUSTER, LISTENER, SIDECAR})
"""Types for which asking for nothing at all means everything; XP, «How the client specifies
what resources to return»."""

MAKERS = (CLUSTER, ENDPOINTS)
"""What is used by others: sent before them, and removed after them."""

USERS = (LISTENER, ROUTES)
"""What uses clusters."""

ALONE = (SECRET, SIDECAR)
"""What waits for nothing."""

FOLDED = frozenset({SIDECAR})
"""Types whose clients apply only the newest of the responses that have come, and answer all of
them alike: nothing is learnt of content that a later response has overtaken."""

FOLLOWED = {CLUSTER: ENDPOINTS}
"""Resources that must be sent again behind others of the same name, though unchanged.

A cluster that is new or changed warms until an endpoints *response* arrives, even if its
endpoints are what they were (XP, «Resource warming»). Ours have the cluster's name.
"""

MOST_UNANSWERED = 32
"""How many responses of one type a client may leave unanswered: of older ones nothing is known any
more, and in the delta variant it is sent no other until it answers, but for what takes access away.
"""

R = TypeVar("R", bound=Request)


@dataclass(slots=True)
class Sent:
    """A response that is not answered yet: what in it the client had not held, and what it held
    before under the same names; *unsure*: that hangs on answers that may never come; *untried*: in
    this response, which a later one has overtaken, the client tries nothing.
    """

    version: str
    new: dict[str, Resource]
    before: dict[str, Resource]
    unsure: bool = False
    untried: bool = False

    def rest_on(self, other: Sent, resources: Mapping[str, Resource]) -> None:
        """Take *other* into account, which is unanswered too and was overtaken by this response:
        the client may not hold what was new in it.
        """
        self.unsure = True
        for name, resource in other.new.items():
            if name not in self.new and resources.get(name) == resource:
                self.new[name] = self.before[name] = resource
            if self.before.get(name) == resource:
                self.forget(name, other)

    def confirm(self, other: Sent) -> None:
        """The client did accept *other*, which this response had overtaken."""
        for name, resource in other.new.items():
            if self.new.get(name) == resource:
                del self.new[name]
                self.before.pop(name, None)
            elif name in self.new:
                self.before[name] = resource

    def let_go(self, earlier: Iterable[Sent]) -> None:
        """A later response takes this one's place: keep none of its bytes but of what the client
        had accepted before, which is in no *earlier* one that it has not answered.
        """
        unsure = {(r.name, r.version) for sent in earlier for r in sent.new.values()}
        self.new = {name: resource.without_bytes() for name, resource in self.new.items()}
        self.before = {
            n: r.without_bytes() if (r.name, r.version) in unsure else r
            for n, r in self.before.items()
        }

    def forget(self, name: str, other: Sent) -> None:
        """The client does not hold what *other* brought under that name, but what was before."""
        if name in other.before:
            self.before[name] = other.before[name]
        else:
            self.before.pop(name, None)


class Session(ABC, Generic[R]):
    """One stream: `on_request` and `on_snapshot` say what is to be sent, and what was learnt.

    Give it the first snapshot before the first request, and call `on_time` when `deadline` has
    come. A request for a type that is not served is answered with nothing; the stream's other
    types go on. A stream of *only_type* is of that type, named or not.

    A change is made before it breaks anything: what uses clusters waits until the client has
    acknowledged them and their endpoints, and clusters go when it has acknowledged what no longer
    uses them (XP, «Eventual consistency considerations»). What is taken away waits for neither.
    """

    def __init__(
        self,
        *,
        composer: Composer,
        client: ClientRecord,
        waits: Waits,
        only_type: str | None = None,
    ) -> None:
        self._composer = composer
        self._client = client
        self._waits = waits
        self._only_type = only_type
        self._manners = Manners()
        self._snapshot = Snapshot({})
        self._node: Node | None = None
        self._nonces = 0
        self._kept = False  # clusters that are gone are kept for what still uses them
        self._new_clusters: set[str] = set()  # accepted, and perhaps without endpoints
        self._returned = False  # the client holds clusters from before this stream

    def on_request(self, request: R) -> list[Event]:
        """Take one request. Raises ProtocolError if the peer broke the protocol."""
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
        return self._on_request(request)

    def on_snapshot(self, snapshot: Snapshot) -> list[Event]:
        """Take the newest snapshot, or the same one because the client's client has changed."""
        self._snapshot = snapshot
        revoked = [event for type_url in SHORT_NAMES for event in self._revoke(type_url)]
        return revoked + self._advance()

    def on_time(self) -> list[Event]:
        """Go on with what has waited long enough."""
        return self._advance()

    @property
    def deadline(self) -> float | None:
        """When a wait ends although the client has not answered, by the waits' clock."""
        return self._waits.deadline

    @abstractmethod
    def subscribed(self, type_url: str) -> int | None:
        """How many names the client asks for (0: all, by the wildcard); None: not subscribed."""

    @property
    def settled(self) -> bool:
        """True if the client has answered every response, and is kept from nothing."""
        kept = self.deadline is not None or any(map(self.lacks, SHORT_NAMES))
        return not (kept or any(map(self._unanswered, SHORT_NAMES)))

    def lacks(self, type_url: str) -> bool:
        """True if something of that type is withheld from the client."""
        return bool(self._client.withheld(self._snapshot.of(type_url)))

    @abstractmethod
    def holding(self, type_url: str) -> Holding | None:
        """What is known of each resource of that type; None: not subscribed."""

    @abstractmethod
    def _on_request(self, request: R) -> list[Event]: ...

    @abstractmethod
    def _unanswered(self, type_url: str) -> bool:
        """True if the client was sent a response of that type that it has not answered."""

    @abstractmethod
    def _asks(self, type_url: str) -> bool:
        """True if the client has asked for something of that type and waits for an answer."""

    @abstractmethod
    def _outdated(self, type_url: str) -> bool:
        """True if the client is to be sent something of that type."""

    @abstractmethod
    def _revoke(self, type_url: str) -> Iterable[Event]:
        """Take back what is gone, where leaving it out would leave it in force."""

    @abstractmethod
    def _narrow(self, type_url: str) -> Iterable[Event]:
        """Leave of what the client holds only what the snapshot lets through too."""

    @abstractmethod
    def _push(self, type_url: str, *, keep: bool = False, asked: bool = False) -> Iterable[Event]:
        """Send what the client is to hold and does not; with *keep*, take nothing from it; with
        *asked*, of a type that is not full state, only what it has just asked for.
        """

    def _advance(self) -> list[Event]:
        """Send whatever may be sent now."""
        keep = not self._may_break()
        self._kept = False
        made = [e for t in MAKERS for e in self._push_or_skip(t, keep=keep)]
        made += [e for t in ALONE for e in self._push_or_skip(t)]
        if self._must_wait():
            # Routes first: a live connection then is refused on its next request.
            narrowed = [e for type_url in reversed(USERS) for e in self._narrow(type_url)]
            used = [e for t in USERS if self._asks(t) for e in self._push(t, asked=True)]
        else:
            narrowed = []
            used = [e for type_url in USERS for e in self._push_or_skip(type_url)]
        waiting = self._must_wait() and any(map(self._outdated, USERS))
        waited = [
            *self._waits.of(MAKE, waiting=waiting),
            *self._waits.of(BREAK, waiting=self._kept),
        ]
        return [*narrowed, *made, *used, *waited]

    def _push_or_skip(self, type_url: str, *, keep: bool = False) -> Iterable[Event]:
        """Push; if what is on trial after a rejection is no longer wanted, go on to what is."""
        yield from self._push(type_url, keep=keep)
        while not self._unanswered(type_url) and self._client.next_half(type_url):
            yield from self._push(type_url, keep=keep)

    def _must_wait(self) -> bool:
        if self._waits.over(MAKE):
            self._new_clusters.clear()
            return False
        return any(map(self._unanswered, MAKERS)) or self._awaits_endpoints()

    def _awaits_endpoints(self) -> bool:
        """True if clusters are new to the client that it has not been sent the endpoints of.

        Envoy acknowledges clusters before it asks for their endpoints, and routes nothing to them
        until it has those.
        """
        if self._new_clusters:
            held = self.holding(ENDPOINTS)
            there = self._snapshot.of(ENDPOINTS)
            known = held.versions.keys() if held else ()
            clusters = self.holding(CLUSTER)
            wanted = clusters.versions.keys() if clusters else set[str]()
            new = self._new_clusters & wanted
            self._new_clusters = {n for n in new if n in there and n not in known}
        return bool(self._new_clusters)

    def _may_break(self) -> bool:
        if self._waits.over(BREAK):
            return True
        if self._returned and any(self.subscribed(t) is None for t in USERS):
            return False  # what it holds of those it has not said yet
        return not any(self._unanswered(t) or self._outdated(t) for t in USERS)

    def _check_node(self, node: Node | None) -> None:
        """The first request says who speaks; it may be said again, but not changed."""
        if self._node is None:
            if node is None or not node.id:
                raise ProtocolError("the first request on a stream must have a node with an id")
            self._node = node
            self._manners = manners_of(node)
        elif node is not None and node.id and node.id != self._node.id:
            raise ProtocolError(
                f"node id {node.id!r} differs from {self._node.id!r}, which this stream began with"
            )

    def _nonce(self) -> str:
        """Unique over the stream, so that no type's nonce is ever taken for another's."""
        self._nonces += 1
        return str(self._nonces)

    def _faults(self, type_url: str, names: Iterable[str]) -> tuple[Fault, ...]:
        """Why each of *names*, which are not there, is not; nothing for who cannot be told."""
        if not self._manners.faults:
            return ()
        forbidden = partial(self._snapshot.vocabulary.forbidden, type_url)
        return faults(names, self._snapshot.of(type_url), forbidden=forbidden)

    def _stand_in(self, held: Resource | None, resource: Resource) -> Resource | None:
        """What a client that holds *held* gets in place of what is withheld from it.

        Never more than *resource* lets through: what *held* has of it, else nothing at all. A
        resource that is only withheld for a while is left out where there was none before.
        """
        before = held if held is not None and held.packed else self._client.base(resource)
        if before is None and not self._client.refuses(resource):
            return None
        vocabulary = self._snapshot.vocabulary
        closed = vocabulary.closed(resource.type_url, resource.name)
        if before is not None and before != closed:
            met = self._client.intersection(vocabulary, before, resource)
            if met is not None and not self._client.refuses(met):
                return met
        return None if closed is None or self._client.refuses(closed) else closed

    def _ack(self, type_url: str, sent: Sent) -> Ack:
        if not sent.untried:
            self._client.accepted(type_url, sent.new)
        if type_url == CLUSTER and not self._only_type:
            self._new_clusters |= sent.new.keys() - sent.before.keys()
        return Ack(type_url, sent.version)

    def _nack(self, type_url: str, sent: Sent, text: str) -> Nack:
        """Remember what a NACK speaks of; no names while they are still searched for."""
        if sent.untried:
            return Nack(type_url=type_url, version=sent.version, message=text, names=())
        names = self._client.rejected(type_url, sent.version, sent.new, sent.before, text)
        return Nack(type_url=type_url, version=sent.version, message=text, names=names)


def only_new(
    visible: Mapping[str, Resource], before: Mapping[str, Resource], names: Iterable[str]
) -> tuple[dict[str, Resource], dict[str, Resource]]:
    """Of *names*, what is in *visible* and was not so before, and what was held before of those."""
    new = {n: visible[n] for n in names if n in visible and visible[n] != before.get(n)}
    return new, {n: before[n] for n in new if n in before}
