"""State of the world: every response for listeners and clusters holds all that the client has
asked for; for the other types it holds what is new (XP, «Four variants»).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from towpath.hub.deliveries import Holding
from towpath.model.snapshot import Resource, ResourceSet, content_hash
from towpath.model.types import ENDPOINTS
from towpath.xds.absence import Fault
from towpath.xds.messages import Ack, Event, Reply, SotwRequest
from towpath.xds.rejections import Rejections
from towpath.xds.session import FOLLOWED, WILDCARD, WILDCARD_TYPES, Session
from towpath.xds.wire import Composer

FULL_STATE = WILDCARD_TYPES
"""Types whose resources are deleted by leaving them out (XP, «Deleting resources»)."""


@dataclass(slots=True)
class _Subscription:
    """What the client has asked for of one type, and what it was sent."""

    names: frozenset[str] = frozenset()
    wildcard: bool = False
    ever_named: bool = False
    nonce: str = ""
    version: str = ""  # of the latest response, or what the client says it holds
    unanswered: dict[str, str] | None = None  # name -> version in the latest response
    held: dict[str, str] = field(default_factory=dict)  # name -> version, as last sent
    owed: frozenset[str] = frozenset()  # to be sent though unchanged
    missed: frozenset[str] = frozenset()  # told to be absent, and why


class SotwSession(Session[SotwRequest]):
    """One stream of `StreamAggregatedResources`, or of one type's own service."""

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
        pending = frozenset(known.unanswered or ())
        return Holding(known.names, known.wildcard, known.held, pending)

    def _on_request(self, request: SotwRequest) -> list[Event]:
        known = self._by_type.get(request.type_url)
        if known is None:
            return self._subscribe(request)
        if known.nonce and request.nonce and request.nonce != known.nonce:
            # Overtaken by a newer response, which the client will answer in turn: XP, «Resource
            # updates». A name dropped here and added again by then must be known to be new.
            _change_names(known, request)
            return []
        events = self._take_answer(known, request) if request.nonce else []
        _change_names(known, request)
        return [*events, *self._push(request.type_url)]

    def _subscribe(self, request: SotwRequest) -> list[Event]:
        known = self._by_type[request.type_url] = _Subscription()
        _change_names(known, request)
        if request.version and self._holds_its_version(request.type_url, known):
            visible = self._visible(request.type_url, known)
            if request.version == self._version(request.type_url, visible):
                # A reconnect: the client holds just this, so nothing needs to be said.
                known.version = request.version
                known.held = {r.name: r.version for r in visible}
                return []
        return list(self._push(request.type_url))

    def _holds_its_version(self, type_url: str, known: _Subscription) -> bool:
        """True if what a client holds is what the version it states stands for.

        One that names resources may have dropped some since; one that rejected a response may
        have taken a part of it.
        """
        everything = type_url in FULL_STATE and known.wildcard and not known.names
        return everything and not self._rejections.any_of(type_url)

    def _take_answer(self, known: _Subscription, request: SotwRequest) -> list[Event]:
        """What the client says of the latest response; error_detail, and nothing else, makes it
        a rejection (XP, «ACK/NACK»).
        """
        sent, known.unanswered = known.unanswered, None
        if sent is None:
            # The same answer again is how Envoy asks for the endpoints of a cluster that it warms
            # anew; those have been sent behind the cluster already.
            return []
        if request.error is not None:
            nack = self._reject(request.type_url, known.version, sent, request.error)
            if request.type_url not in FULL_STATE:
                # A bad one keeps Envoy from applying those beside it: they are sent again.
                for name in sent.keys() - nack.names:
                    known.held.pop(name, None)
            return [nack]
        return [Ack(request.type_url, known.version)]

    @property
    def settled(self) -> bool:
        return all(known.unanswered is None for known in self._by_type.values())

    def _revoke(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None or type_url in FULL_STATE:
            return
        held = self._snapshot.of(type_url)
        gone = [name for name in sorted(known.names & known.held.keys()) if name not in held]
        revoked = [self._snapshot.revoke(type_url, name) for name in gone]
        sending = [r for r in revoked if r is not None and known.held[r.name] != r.version]
        if sending:
            known.held.update((r.name, r.version) for r in sending)
            version = self._version(type_url, tuple(sending))
            yield self._reply(known, type_url, version, tuple(sending))

    def _push(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is not None:
            held = self._snapshot.of(type_url)
            push = self._push_all if type_url in FULL_STATE else self._push_new
            yield from push(known, held)

    def _push_all(self, known: _Subscription, held: ResourceSet) -> Iterable[Event]:
        if known.wildcard and known.version == held.version and not known.owed:
            return
        visible = self._visible(held.type_url, known)
        version = self._version(held.type_url, visible)
        asked_again = any(resource.name in known.owed for resource in visible)
        known.owed = frozenset()
        faults = self._missing(known, held)
        if version == known.version and not asked_again and not faults:
            return
        if self._rejections.response(held.type_url, version):
            return
        before, known.held = known.held, {r.name: r.version for r in visible}
        yield self._reply(known, held.type_url, version, visible, faults)
        yield from self._follow(held.type_url, known.held.items() - before.items())

    def _push_new(self, known: _Subscription, held: ResourceSet) -> Iterable[Event]:
        wanted = [r for name in sorted(known.names) if (r := self._wanted(known, held, name))]
        sending = self._sendable(
            r for r in wanted if r.name in known.owed or known.held.get(r.name) != r.version
        )
        known.owed -= {r.name for r in wanted}
        faults = self._missing(known, held)
        if sending or faults:
            known.held.update((r.name, r.version) for r in sending)
            version = self._version(held.type_url, tuple(wanted))
            yield self._reply(known, held.type_url, version, sending, faults)

    def _wanted(self, known: _Subscription, held: ResourceSet, name: str) -> Resource | None:
        """What is there, or what stands in for a name that never was."""
        resource = held.get(name)
        stands_in = self._manners.stand_ins and held.type_url == ENDPOINTS
        if resource is None and stands_in and name not in known.held:
            return self._snapshot.closed(held.type_url, name)
        return resource

    def _missing(self, known: _Subscription, held: ResourceSet) -> tuple[Fault, ...]:
        """What the client must be told anew of names that are not there.

        What it holds of a type that is not full state ends with its parent, and is no fault.
        """
        absent = {name for name in known.names if name not in held}
        if held.type_url not in FULL_STATE:
            absent -= known.held.keys()
        faults = self._faults(held.type_url, absent - known.missed)
        known.missed = frozenset(absent)
        return faults

    def _follow(self, type_url: str, sent: Iterable[tuple[str, str]]) -> Iterable[Event]:
        follower = FOLLOWED.get(type_url, "")
        if known := self._by_type.get(follower):
            known.owed |= known.names.intersection(name for name, _ in sent)
            yield from self._push(follower)

    def _reply(
        self,
        known: _Subscription,
        type_url: str,
        version: str,
        resources: tuple[Resource, ...],
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        known.nonce, known.version = self._nonce(), version
        known.unanswered = {r.name: r.version for r in resources}
        whole = type_url in FULL_STATE
        body = self._composer.sotw(type_url, version, resources, whole=whole, faults=faults)
        return Reply(type_url, version, known.nonce, tuple(known.unanswered), body)

    def _visible(self, type_url: str, known: _Subscription) -> tuple[Resource, ...]:
        held = self._snapshot.of(type_url)
        if known.wildcard:
            return tuple(held.values())
        return tuple(held[name] for name in sorted(known.names) if name in held)

    def _version(self, type_url: str, visible: tuple[Resource, ...]) -> str:
        """Changes with what this client sees, and only then (XP, «Resource updates»)."""
        whole = self._snapshot.of(type_url)
        if len(visible) == len(whole):
            return whole.version
        parts = (f"{r.name}\0{r.version}".encode() for r in visible)
        return content_hash(type_url.encode(), *parts)


def _change_names(known: _Subscription, request: SotwRequest) -> None:
    """Each request restates what the client wants.

    A client that never named anything wants everything of a wildcard type; once it has, an empty
    list means nothing (XP, «How the client specifies what resources to return»).
    """
    names = request.names - {WILDCARD}
    known.ever_named = known.ever_named or bool(request.names)
    known.wildcard = WILDCARD in request.names or (
        not known.ever_named and request.type_url in WILDCARD_TYPES
    )
    for name in known.names - names:
        known.held.pop(name, None)
    # A name that is new is always sent, even if it had been sent before: XP, «Subscribing».
    known.owed = (known.owed | (names - known.names)) & names
    known.names = names
