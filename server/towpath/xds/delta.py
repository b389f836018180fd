"""Delta: every response holds what is new to this client, and what is gone (XP, «Incremental
xDS»).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from towpath.hub.deliveries import Holding
from towpath.model.snapshot import Resource, ResourceSet
from towpath.xds.absence import Fault
from towpath.xds.messages import Ack, DeltaRequest, Event, Reply
from towpath.xds.rejections import Rejections
from towpath.xds.session import FOLLOWED, WILDCARD, WILDCARD_TYPES, Session
from towpath.xds.wire import Composer


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a rejection of one response would speak of: its version, and name -> version."""

    version: str
    resources: dict[str, str]


@dataclass(slots=True)
class _Subscription:
    """What the client has asked for of one type, and what it was sent."""

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    held: dict[str, str] = field(default_factory=dict)  # name -> version, as last sent
    compared: ResourceSet | None = None  # what `held` was last brought up to
    unanswered: dict[str, _Sent] = field(default_factory=dict)  # by nonce
    sent: set[str] = field(default_factory=set)  # on this stream
    responded: bool = False

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class DeltaSession(Session[DeltaRequest]):
    """One stream of `DeltaAggregatedResources`, or of one type's own service."""

    def __init__(
        self, *, composer: Composer, rejections: Rejections, only_type: str | None = None
    ) -> None:
        super().__init__(composer=composer, rejections=rejections, only_type=only_type)
        self._by_type: dict[str, _Subscription] = {}

    def subscribed(self, type_url: str) -> int | None:
        known = self._by_type.get(type_url)
        return len(known.names) if known else None

    def holding(self, type_url: str) -> Holding | None:
        known = self._by_type.get(type_url)
        if known is None:
            return None
        pending = frozenset(name for sent in known.unanswered.values() for name in sent.resources)
        return Holding(frozenset(known.names), known.wildcard, known.held, pending)

    def _on_request(self, request: DeltaRequest) -> list[Event]:
        known = self._by_type.get(request.type_url)
        events: list[Event] = []
        if known is None:
            known = self._by_type[request.type_url] = _Subscription()
            known.held = dict(request.initial_versions)
            # Naming nothing at first is asking for everything; XP, «How the client specifies…».
            known.wildcard = not request.subscribe and not request.unsubscribe
            again = {
                name
                for name in request.subscribe
                if name not in known.held or name in self._leading(request.type_url)
            }
        else:
            events, again = self._take_answer(known, request)
            again |= set(request.subscribe)
        # Changes count even if the nonce is stale: it only pairs an answer with a response.
        again |= self._change_names(known, request)
        return [*events, *self._send(request.type_url, known, again=again)]

    def _take_answer(
        self, known: _Subscription, request: DeltaRequest
    ) -> tuple[list[Event], set[str]]:
        """Gives also the names that must be sent again for what was rejected beside them."""
        sent = known.unanswered.pop(request.nonce, None)
        if sent is None:
            return [], set()
        if request.error is None:
            return [Ack(request.type_url, sent.version)], set()
        nack = self._reject(request.type_url, sent.version, sent.resources, request.error)
        if request.type_url in WILDCARD_TYPES:
            return [nack], set()
        beside = sent.resources.keys() - nack.names - set(request.unsubscribe)
        return [nack], {name for name in beside if known.wants(name) and name in known.held}

    def _change_names(self, known: _Subscription, request: DeltaRequest) -> set[str]:
        """Gives the names that must be answered although nothing about them changed."""
        if WILDCARD in request.subscribe:
            known.wildcard = True
            known.compared = None
        if WILDCARD in request.unsubscribe:
            known.wildcard = False
        known.names.update(set(request.subscribe) - {WILDCARD})
        dropped = known.names.intersection(request.unsubscribe)
        known.names -= dropped
        if known.wildcard:
            # XP, «Unsubscribing»: the client cannot know whether the wildcard covers them.
            return dropped
        for name in set(request.unsubscribe) | ({*known.held} - known.names):
            known.held.pop(name, None)
        return set()

    @property
    def settled(self) -> bool:
        return not any(known.unanswered for known in self._by_type.values())

    def _revoke(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None:
            return
        held = self._snapshot.of(type_url)
        gone = [name for name in sorted(known.held) if known.wants(name) and name not in held]
        revoked = [self._snapshot.revoke(type_url, name) for name in gone]
        sending = [r for r in revoked if r is not None and known.held[r.name] != r.version]
        if sending:
            known.held.update((r.name, r.version) for r in sending)
            yield self._reply(known, held, tuple(sending), ())

    def _push(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is not None:
            yield from self._send(type_url, known, again=set())

    def _send(self, type_url: str, known: _Subscription, *, again: set[str]) -> Iterable[Event]:
        """Send what differs from what the client holds, and the names in *again* anyhow."""
        held = self._snapshot.of(type_url)
        before, known.compared = known.compared, held
        if before is None:
            candidates = {*known.held, *known.names, *(held if known.wildcard else ())}
        else:
            candidates = {n for n in held.changed_since(before) if known.wants(n)}
        candidates |= again
        candidates.discard(WILDCARD)
        new, removed = self._difference(known, held, candidates, again=again - {WILDCARD})
        first = not known.responded and known.wildcard and not known.held
        # An absent name that is asked for is told, whether it was held or not.
        missing = {name for name in removed if name in again}
        if new or removed or first:
            known.held.update((r.name, r.version) for r in new)
            for name in removed:
                known.held.pop(name, None)
            faults = self._faults(type_url, missing)
            yield self._reply(known, held, new, removed, faults)
            yield from self._follow(type_url, {r.name for r in new})

    def _difference(
        self, known: _Subscription, held: ResourceSet, candidates: set[str], *, again: set[str]
    ) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
        new = []
        removed = []
        for name in sorted(candidates):
            resource = held.get(name)
            if resource is None and name in known.held:
                resource = self._snapshot.revoke(held.type_url, name)
            if resource is None:
                asked = name in again and held.type_url not in self._manners.silent
                if name in known.held or asked:
                    removed.append(name)
            elif name in again or known.held.get(name) != resource.version:
                new.append(resource)
        return self._sendable(new), tuple(removed)

    def _follow(self, type_url: str, sent: set[str]) -> Iterable[Event]:
        follower = FOLLOWED.get(type_url, "")
        if known := self._by_type.get(follower):
            existing = self._snapshot.of(follower)
            again = {name for name in sent if known.wants(name) and name in existing}
            yield from self._send(follower, known, again=again)

    def _leading(self, type_url: str) -> set[str]:
        """Names sent on this stream that resources of *type_url* must follow."""
        leaders = [leader for leader, follower in FOLLOWED.items() if follower == type_url]
        return {n for leader in leaders if (k := self._by_type.get(leader)) for n in k.sent}

    def _reply(
        self,
        known: _Subscription,
        held: ResourceSet,
        resources: tuple[Resource, ...],
        removed: tuple[str, ...],
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        names = tuple(r.name for r in resources)
        body = self._composer.delta(
            held.type_url, held.version, resources, removed=removed, faults=faults
        )
        reply = Reply(held.type_url, held.version, self._nonce(), names, body)
        known.unanswered[reply.nonce] = _Sent(held.version, {r.name: r.version for r in resources})
        known.sent.update(names)
        known.responded = True
        return reply
