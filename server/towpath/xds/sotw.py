"""State of the world: every response for listeners and clusters holds all that the client has
asked for; for the other types it holds what is new (XP, «Four variants»).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from towpath.model.snapshot import Resource, ResourceSet, content_hash
from towpath.model.types import CLUSTER, ENDPOINTS
from towpath.rollout.clients import ClientRecord
from towpath.rollout.records import Holding
from towpath.xds.absence import Fault
from towpath.xds.messages import Event, Reply, SotwRequest
from towpath.xds.session import (
    FOLDED,
    FOLLOWED,
    MOST_UNANSWERED,
    WILDCARD_TYPES,
    Sent,
    Session,
    only_new,
)
from towpath.xds.subscription import Subscription
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer

FULL_STATE = WILDCARD_TYPES
"""Types whose resources are deleted by leaving them out (XP, «Deleting resources»)."""

Held = Mapping[str, Resource]


@dataclass(slots=True)
class _Subscription:
    """What the client has asked for of one type, and what it was sent."""

    asked: Subscription = Subscription()
    nonce: str = ""
    version: str = ""  # of the latest response, or what the client says it holds
    unanswered: Sent | None = None  # the latest response
    overtaken: dict[str, Sent] = field(default_factory=dict)  # by nonce, unanswered before it
    held: Held = field(default_factory=dict)  # as last sent
    owed: frozenset[str] = frozenset()  # to be sent though unchanged
    doubtful: bool = False  # the client may have taken a part of what it rejected
    missed: frozenset[str] = frozenset()  # told to be absent, and why
    brought: frozenset[str] = frozenset()  # the client may hold them from before this stream
    complete: ResourceSet | None = None  # what was sent all that is wanted of

    @property
    def names(self) -> frozenset[str]:
        return self.asked.names

    @property
    def wildcard(self) -> bool:
        return self.asked.wildcard

    def begin_anew(self) -> None:
        """The client has forgotten all that it was sent; what it asks for then is new to it."""
        self.asked = self.asked.forgotten()
        self.version, self.missed = "", frozenset()


class SotwSession(Session[SotwRequest]):
    """One stream of `StreamAggregatedResources`, or of one type's own service."""

    def __init__(
        self,
        *,
        composer: Composer,
        client: ClientRecord,
        waits: Waits,
        only_type: str | None = None,
    ) -> None:
        super().__init__(composer=composer, client=client, waits=waits, only_type=only_type)
        self._by_type: dict[str, _Subscription] = {}

    def subscribed(self, type_url: str) -> int | None:
        known = self._by_type.get(type_url)
        return len(known.names) if known else None

    def holding(self, type_url: str) -> Holding | None:
        known = self._by_type.get(type_url)
        if known is None:
            return None
        versions = {name: held.version for name, held in known.held.items()}
        pending = frozenset(known.unanswered.new if known.unanswered else ())
        return Holding(known.names, known.wildcard, versions, pending)

    def _on_request(self, request: SotwRequest) -> list[Event]:
        known = self._by_type.get(request.type_url)
        if known is None:
            self._subscribe(request)
            return self._advance()
        if known.nonce and request.nonce and request.nonce != known.nonce:
            # Overtaken by a newer response, which the client will answer in turn: XP, «Resource
            # updates». A name dropped here and added again by then must be known to be new.
            events = self._take_late_answer(known, request)
            _change_names(known, request)
            return events
        events = self._take_answer(known, request) if request.nonce else []
        if known.nonce and not request.nonce and not request.version:
            # The first request of a client that had lost all interest, and did not say so.
            known.begin_anew()
        _change_names(known, request)
        return [*events, *self._advance()]

    def _subscribe(self, request: SotwRequest) -> None:
        known = self._by_type[request.type_url] = _Subscription()
        _change_names(known, request)
        if not request.version:
            return
        known.brought = known.names
        self._returned = self._returned or (request.type_url == CLUSTER and not self._only_type)
        everything = request.type_url in FULL_STATE and known.wildcard and not known.names
        if everything and not self._client.distrusts(request.type_url):
            # A reconnect: if the client holds just this, nothing needs to be said.
            target = self._snapshot.of(request.type_url)
            recalled = self._composer.recall(request.type_url, request.version)
            if request.version == target.version:
                known.version, known.held = request.version, target
            elif recalled is not None:
                known.version, known.held = request.version, recalled

    def _take_answer(self, known: _Subscription, request: SotwRequest) -> list[Event]:
        """What the client says of the latest response; error_detail, and nothing else, makes it
        a rejection (XP, «ACK/NACK»).
        """
        sent, known.unanswered = known.unanswered, None
        known.overtaken.clear()
        if sent is None:
            # The same answer again is how Envoy asks for the endpoints of a cluster that it warms
            # anew; those have been sent behind the cluster already.
            return []
        if request.error is None:
            return [self._ack(request.type_url, sent)]
        return [self._rejected(known, request, sent, request.error)]

    def _take_late_answer(self, known: _Subscription, request: SotwRequest) -> list[Event]:
        """An answer to what was overtaken settles nothing, but says what the client holds."""
        sent = known.overtaken.pop(request.nonce, None)
        if sent is None:
            return []
        if request.error is not None:
            return [self._rejected(known, request, sent, request.error)]
        if not sent.untried:
            self._client.accepted(request.type_url, sent.new)
        for later in (*known.overtaken.values(), known.unanswered):
            if later is not None:
                later.confirm(sent)
        return []

    def _rejected(self, known: _Subscription, request: SotwRequest, sent: Sent, text: str) -> Event:
        nack = self._nack(request.type_url, sent, text)
        if sent.untried:
            return nack
        # A bad one keeps Envoy from applying those beside it, but for listeners and clusters.
        whole = request.type_url not in FULL_STATE or not nack.names
        lost = {n for n in (sent.new if whole else nack.names) if known.held.get(n) == sent.new[n]}
        if lost:
            kept = {n: r for n, r in known.held.items() if n not in lost}
            known.held = kept | {n: sent.before[n] for n in lost if n in sent.before}
            known.complete = None
            known.doubtful = sent.unsure or not nack.names
            if request.type_url in FULL_STATE:
                target = self._snapshot.of(request.type_url)
                known.version = self._version(target, known.held)
        return nack

    def _unanswered(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        # Who asks for nothing any more has nothing to answer.
        return known is not None and known.unanswered is not None and not known.asked.empty

    def _asks(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        return known is not None and (not (known.nonce or known.version) or bool(known.owed))

    def _outdated(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        if known is None:
            return False
        target = self._snapshot.of(type_url)
        if type_url in FULL_STATE:
            return self._next_whole(known, target, self._visible(known, target)) is not None
        return bool(self._next_new(known, target))

    def _revoke(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None or type_url in FULL_STATE:
            return
        target = self._snapshot.of(type_url)
        gone = [name for name in sorted(known.names & known.held.keys()) if name not in target]
        revoked = [self._snapshot.left(known.held[name], type_url, name) for name in gone]
        sending = [r for r in revoked if r is not None and known.held[r.name] != r]
        if sending:
            yield self._reply_new(known, type_url, sending)

    def _narrow(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None or (type_url in FULL_STATE and self._asks(type_url)):
            return  # what asks for full state is given all of it anyhow
        target = self._snapshot.of(type_url)
        met = self._left(known, target)
        for name, held in known.held.items():
            new = target.get(name)
            if new == held or (new is None and type_url not in FULL_STATE):
                met[name] = held
            elif new is not None and (left := self._stand_in(held, new)) is not None:
                met[name] = left
        if type_url in FULL_STATE:
            if met != known.held:
                yield self._reply_all(known, type_url, met, self._version(target, met))
            return
        if sending := [r for name, r in sorted(met.items()) if known.held[name] != r]:
            yield self._reply_new(known, type_url, sending)

    def _push(self, type_url: str, *, keep: bool = False, asked: bool = False) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None:
            return
        target = self._snapshot.of(type_url)
        if type_url in FULL_STATE:
            visible = self._visible(known, target, keep=keep)
            version = self._next_whole(known, target, visible)
            if version is not None:
                yield self._reply_all(known, type_url, visible, version)
            return
        due = self._next_new(known, target)
        sending = [r for r in due if r.name in known.owed] if asked else due
        faults = self._missing(known, target, due)
        if sending or faults:
            yield self._reply_new(known, type_url, sending, faults)
        all_sent = len(sending) == len(due) and not self._client.withheld(target)
        known.complete = target if all_sent else None

    def _visible(self, known: _Subscription, target: ResourceSet, *, keep: bool = False) -> Held:
        """All that the client is to hold of a full-state type."""
        withheld = self._client.withheld(target)
        gone: dict[str, Resource] = {}
        if keep and known.held is not target:
            gone = {n: r for n, r in known.held.items() if n not in target and known.asked.wants(n)}
            self._kept = self._kept or bool(gone)
        left = self._left(known, target)
        if known.wildcard and not (withheld or gone or left):
            return target
        names = target if known.wildcard else known.names & target.keys()
        given = (self._given(known, target[name], withheld) for name in sorted(names))
        return {r.name: r for r in given if r is not None} | gone | left

    def _left(self, known: _Subscription, target: ResourceSet) -> dict[str, Resource]:
        """What the client is to hold, of a full-state type, of names that are gone."""
        if target.type_url not in FULL_STATE:
            return {}
        gone = sorted(
            n for n in known.names - target.keys() if n in known.held or n in known.brought
        )
        left = (self._snapshot.left(known.held.get(n), target.type_url, n) for n in gone)
        return {r.name: r for r in left if r is not None and not self._client.refuses(r)}

    def _given(
        self, known: _Subscription, resource: Resource, withheld: frozenset[str]
    ) -> Resource | None:
        if resource.name not in withheld:
            return resource
        return self._stand_in(known.held.get(resource.name), resource)

    def _next_whole(self, known: _Subscription, target: ResourceSet, visible: Held) -> str | None:
        """The version of the response that is due; None if none is."""
        if known.asked.empty:
            return None  # nobody would answer it
        version = self._version(target, visible)
        due = version != known.version and not (
            # All that there is has another version than the same by its names.
            known.nonce and known.version and _same(visible, known.held)
        )
        due = due or not known.owed.isdisjoint(visible)
        if self._client.distrusts(target.type_url) and known.nonce:
            # What stands in for rejected content may be what the client holds anyhow.
            due = known.doubtful or not (
                known.owed.isdisjoint(visible) and _same(visible, known.held)
            )
        if not due and not (self._manners.faults and self._absent(known, target) - known.missed):
            return None
        rejected = self._client.response_rejected(target.type_url, version)
        return None if rejected else version

    def _next_new(self, known: _Subscription, target: ResourceSet) -> list[Resource]:
        """What the client is to be sent of a type that is not full state."""
        withheld = self._client.withheld(target)
        if known.complete is target and not withheld and not known.owed:
            return []
        wanted = (self._wanted(known, target, name, withheld) for name in sorted(known.names))
        return [
            r
            for r in wanted
            if r is not None and (r.name in known.owed or known.held.get(r.name) != r)
        ]

    def _wanted(
        self, known: _Subscription, target: ResourceSet, name: str, withheld: frozenset[str]
    ) -> Resource | None:
        """What is there, or what stands in for a name that never was on this stream."""
        resource = target.get(name)
        if resource is not None:
            return self._given(known, resource, withheld)
        if name in known.held:
            return None
        stand_in = None
        if name in known.brought:
            stand_in = self._snapshot.left(None, target.type_url, name)
        if self._manners.stand_ins and target.type_url == ENDPOINTS:
            stand_in = self._snapshot.vocabulary.closed(target.type_url, name)
        return None if stand_in is None or self._client.refuses(stand_in) else stand_in

    def _absent(self, known: _Subscription, target: ResourceSet) -> frozenset[str]:
        """Names that are asked for and are not there.

        What the client holds of a type that is not full state ends with its parent.
        """
        absent = frozenset(name for name in known.names if name not in target)
        full = target.type_url in FULL_STATE
        return absent - (self._left(known, target) if full else known.held).keys()

    def _missing(
        self, known: _Subscription, target: ResourceSet, due: Iterable[Resource] = ()
    ) -> tuple[Fault, ...]:
        """What the client must be told anew of names that are not there, nor stood in for by what
        is *due*.
        """
        if not self._manners.faults:
            return ()
        absent = self._absent(known, target) - {r.name for r in due}
        faults = self._faults(target.type_url, absent - known.missed)
        known.missed = absent
        return faults

    def _reply_all(self, known: _Subscription, type_url: str, visible: Held, version: str) -> Reply:
        before, known.held = known.held, visible
        changed = _changed(visible, before)
        faults = self._missing(known, self._snapshot.of(type_url))
        known.owed = frozenset()
        new, replaced = only_new(visible, before, changed)
        if follower := self._by_type.get(FOLLOWED.get(type_url, "")):
            follower.owed |= follower.names.intersection(new)
        return self._reply(known, type_url, visible, Sent(version, new, replaced), faults)

    def _reply_new(
        self,
        known: _Subscription,
        type_url: str,
        sending: list[Resource],
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        resources = {r.name: r for r in sending}
        new, replaced = only_new(resources, known.held, resources)
        known.held = {**known.held, **resources}
        known.owed -= resources.keys()
        wanted = {n: known.held[n] for n in sorted(known.names) if n in known.held}
        version = self._version(self._snapshot.of(type_url), wanted)
        return self._reply(known, type_url, resources, Sent(version, new, replaced), faults)

    def _reply(
        self,
        known: _Subscription,
        type_url: str,
        resources: Held,
        sent: Sent,
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        if known.unanswered is not None:
            sent.rest_on(known.unanswered, resources)
            known.unanswered.let_go(known.overtaken.values())
            known.overtaken[known.nonce] = known.unanswered
            if len(known.overtaken) > MOST_UNANSWERED:
                del known.overtaken[next(iter(known.overtaken))]
            known.unanswered.untried = type_url in FOLDED
        known.doubtful = False
        known.nonce, known.version, known.unanswered = self._nonce(), sent.version, sent
        whole = type_url in FULL_STATE
        body = self._composer.sotw(type_url, sent.version, resources, whole=whole, faults=faults)
        names = resources.names if isinstance(resources, ResourceSet) else tuple(resources)
        return Reply(type_url, sent.version, known.nonce, names, body)

    def _version(self, target: ResourceSet, visible: Held) -> str:
        """Changes with what this client sees, and only then (XP, «Resource updates»)."""
        if visible is target or (
            len(visible) == len(target) and all(target.get(n) == r for n, r in visible.items())
        ):
            return target.version
        parts = (f"{name}\0{visible[name].version}".encode() for name in sorted(visible))
        return content_hash(target.type_url.encode(), *parts)


def _same(one: Held, other: Held) -> bool:
    """True if the contents are equal; those of two sets are when their versions are."""
    if isinstance(one, ResourceSet) and isinstance(other, ResourceSet):
        return one.version == other.version
    return len(one) == len(other) and all(other.get(n) == r for n, r in one.items())


def _changed(after: Held, before: Held) -> Iterable[str]:
    """Names of which something is new in *after*."""
    if isinstance(after, ResourceSet) and isinstance(before, ResourceSet):
        return after.changed_since(before)
    return after


def _change_names(known: _Subscription, request: SotwRequest) -> None:
    """Each request restates what the client wants."""
    legacy = request.type_url in WILDCARD_TYPES
    asked = known.asked.restated(request.names, legacy_wildcard=legacy)
    names, everything = asked.names, asked.wildcard
    if not everything and not known.held.keys() <= names:
        # Also what only the wildcard had covered: the client may forget what it does not want.
        known.held = {n: r for n, r in known.held.items() if n in names}
        known.version = ""
    if everything and not known.wildcard:
        known.version = ""  # what is asked for anew is sent anew: XP, «Subscribing»
    # A name that is new is always sent, even if it had been sent before: XP, «Subscribing».
    known.owed = (known.owed | (names - known.names)) & names
    if names != known.names:
        known.complete = None
    known.brought &= names
    known.asked = asked
