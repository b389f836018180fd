"""Delta: every response holds what is new to this client, and what is gone (XP, «Incremental
xDS»).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from towpath.model.snapshot import Resource, ResourceSet
from towpath.model.types import CLUSTER
from towpath.rollout.clients import ClientRecord
from towpath.rollout.records import Holding
from towpath.xds.absence import Fault
from towpath.xds.messages import DeltaRequest, Event, Reply
from towpath.xds.session import (
    FOLDED,
    FOLLOWED,
    MOST_UNANSWERED,
    WILDCARD_TYPES,
    Sent,
    Session,
    only_new,
)
from towpath.xds.subscription import WILDCARD, Subscription
from towpath.xds.waits import Waits
from towpath.xds.wire import Composer

AT_ONCE = 1_000
"""How many of the names that a client has brought, and that are not there, are looked at in one
step: it may bring any, and everybody else waits meanwhile.
"""


@dataclass(slots=True)
class _Subscription:
    """What the client has asked for of one type, and what it was sent."""

    asked: Subscription = Subscription()
    held: dict[str, Resource] = field(default_factory=dict)  # as last sent, or as the client says
    compared: ResourceSet | None = None  # what `held` was last brought up to …
    behind: set[str] = field(default_factory=set)  # … but for these names
    doubtful: set[str] = field(default_factory=set)  # the client may have taken it nevertheless
    owed: set[str] = field(default_factory=set)  # to be answered though unchanged
    unanswered: dict[str, Sent] = field(default_factory=dict)  # by nonce
    sent: set[str] = field(default_factory=set)  # on this stream
    responded: bool = False
    later: list[tuple[str, str]] = field(default_factory=list)  # brought, and not looked at yet
    batch: frozenset[str] = frozenset()  # what was taken of those last

    @property
    def names(self) -> frozenset[str]:
        return self.asked.names

    @property
    def wildcard(self) -> bool:
        return self.asked.wildcard


@dataclass(frozen=True, slots=True)
class _Difference:
    """What is to be sent of one type, and for which names something else will be later."""

    new: tuple[Resource, ...]
    removed: tuple[str, ...]
    behind: frozenset[str]
    kept: bool

    def only(self, names: Set[str]) -> _Difference:
        """This of *names*, and the rest later."""
        new = tuple(r for r in self.new if r.name in names)
        removed = tuple(n for n in self.removed if n in names)
        later = {r.name for r in self.new} | set(self.removed)
        return _Difference(new, removed, self.behind | (later - names), self.kept)


class DeltaSession(Session[DeltaRequest]):
    """One stream of `DeltaAggregatedResources`, or of one type's own service."""

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
        pending = frozenset(name for sent in known.unanswered.values() for name in sent.new)
        return Holding(known.names, known.wildcard, versions, pending)

    def _on_request(self, request: DeltaRequest) -> list[Event]:
        type_url = request.type_url
        known = self._by_type.get(type_url)
        events: list[Event] = []
        if known is None:
            known = self._by_type[type_url] = _Subscription()
            brought = request.initial_versions
            there = [name for name in self._snapshot.of(type_url) if name in brought]
            known.held = {n: Resource(type_url, n, brought[n], b"") for n in there}
            known.later = [said for said in brought.items() if said[0] not in known.held]
            again = set(request.subscribe)
            known.owed = {n for n in again if n not in brought or n in self._leading(type_url)}
            self._returned |= type_url == CLUSTER and bool(brought) and not self._only_type
        else:
            events = self._take_answer(known, request)
            known.owed |= set(request.subscribe)
        # Changes count even if the nonce is stale: it only pairs an answer with a response.
        self._change_names(known, request)
        known.owed.discard(WILDCARD)
        if known.compared is None and not known.batch:
            self._take_more(known, type_url)
        return [*events, *self._advance()]

    def on_time(self) -> list[Event]:
        """Go on with what has waited long enough, or with what was left for later."""
        for type_url, known in self._by_type.items():
            if self._may_take_more(known, type_url):
                self._take_more(known, type_url)
        return super().on_time()

    @property
    def deadline(self) -> float | None:
        """As in any session; at once if something was left for later."""
        more = any(self._may_take_more(known, t) for t, known in self._by_type.items())
        return -math.inf if more else super().deadline

    def _may_take_more(self, known: _Subscription, type_url: str) -> bool:
        """True if there is more, and the client was told of what was taken before."""
        if not known.later or known.compared is None:
            return False
        target = self._snapshot.of(type_url)
        return all(name in target for name in known.batch & known.behind)

    @staticmethod
    def _take_more(known: _Subscription, type_url: str) -> None:
        """Look at some of what the client brought as if it had brought it just now."""
        taken, known.later = known.later[:AT_ONCE], known.later[AT_ONCE:]
        new = {
            name: Resource(type_url, name, version, b"")
            for name, version in taken
            if known.asked.wants(name) and name not in known.held
        }
        known.held.update(new)
        known.behind |= new.keys()
        known.batch = frozenset(new)

    def _take_answer(self, known: _Subscription, request: DeltaRequest) -> list[Event]:
        sent = known.unanswered.pop(request.nonce, None)
        if sent is None:
            return []
        if request.error is None:
            return [self._ack(request.type_url, sent)]
        nack = self._nack(request.type_url, sent, request.error)
        # A bad one keeps Envoy from applying those beside it, but for listeners and clusters.
        whole = request.type_url not in WILDCARD_TYPES or not nack.names
        for name in sent.new if whole else nack.names:
            later = (other.new.get(name) for other in known.unanswered.values() if sent.untried)
            if known.held.get(name) == sent.new[name] and sent.new[name] not in later:
                known.held.pop(name)
                if name in sent.before:
                    known.held[name] = sent.before[name]
                known.behind.add(name)
                known.doubtful.add(name)
            for other in known.unanswered.values():
                if other.before.get(name) == sent.new[name]:
                    other.forget(name, sent)
        return [nack]

    @staticmethod
    def _change_names(known: _Subscription, request: DeltaRequest) -> None:
        subscribe, unsubscribe = frozenset(request.subscribe), frozenset(request.unsubscribe)
        before, known.asked = known.asked, known.asked.changed(subscribe, unsubscribe)
        if WILDCARD in subscribe:
            known.compared = None
        if known.wildcard:
            # XP, «Unsubscribing»: the client cannot know whether the wildcard covers them.
            known.owed |= (unsubscribe & before.names) | (unsubscribe & subscribe)
            return
        gone = (unsubscribe | known.held.keys()) - known.names
        for name in gone:
            known.held.pop(name, None)
        known.owed -= gone
        known.behind -= gone
        known.doubtful &= known.names

    def _unanswered(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        return known is not None and bool(known.unanswered)

    def _asks(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        return known is not None and (known.compared is None or bool(known.owed))

    def _outdated(self, type_url: str) -> bool:
        known = self._by_type.get(type_url)
        if known is None:
            return False
        due = self._difference(known, self._snapshot.of(type_url), keep=False)
        return bool(due.new or due.removed or known.later)

    def _revoke(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None:
            return
        target = self._snapshot.of(type_url)
        gone = [
            name for name in sorted(known.held) if known.asked.wants(name) and name not in target
        ]
        revoked = [self._snapshot.left(known.held[name], type_url, name) for name in gone]
        sending = tuple(r for r in revoked if r is not None and known.held[r.name] != r)
        if sending:
            yield self._reply(known, target, sending, ())

    def _narrow(self, type_url: str) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None or known.compared is None:
            return  # the first answer is of everything
        target = self._snapshot.of(type_url)
        due = self._difference(known, target, keep=False)
        sending: list[Resource] = []
        removed = [n for n in due.removed if n in known.held and type_url in WILDCARD_TYPES]
        for resource in due.new:
            held = known.held.get(resource.name)
            if held is None:
                continue
            # What it holds is not known of a client that has come back: then nothing may wait.
            left = self._stand_in(held, resource) if held.packed else resource
            if left is None:
                removed.append(resource.name)
            elif left != held:
                sending.append(left)
        known.behind |= {r.name for r in due.new}
        known.behind.update(removed)
        if sending or removed:
            for name in removed:
                known.held.pop(name)
            yield self._reply(known, target, tuple(sending), tuple(removed))

    def _push(self, type_url: str, *, keep: bool = False, asked: bool = False) -> Iterable[Event]:
        known = self._by_type.get(type_url)
        if known is None:
            return
        if len(known.unanswered) >= MOST_UNANSWERED and not known.owed:
            return
        target = self._snapshot.of(type_url)
        if known.compared is None:
            # What a client says it holds is known in full if it is what there is now.
            there = ((n, r, target.find(n)) for n, r in known.held.items())
            known.held = {n: t if t is not None and t == r else r for n, r, t in there}
        due = self._difference(known, target, keep=keep)
        if asked and known.responded:
            due = due.only(known.owed)
        self._kept = self._kept or due.kept
        owed, known.owed = known.owed, {n for n in known.owed & due.behind if n not in target}
        known.compared, known.behind = target, set(due.behind)
        first = not known.responded and known.wildcard and not known.held
        if due.new or due.removed or first:
            for name in due.removed:
                known.held.pop(name, None)
            faults = self._faults(type_url, [name for name in due.removed if name in owed])
            yield self._reply(known, target, due.new, due.removed, faults)
            self._follow(type_url, {r.name for r in due.new})

    def _difference(self, known: _Subscription, target: ResourceSet, *, keep: bool) -> _Difference:
        """What differs from what the client holds, and the names that must be sent anyhow."""
        withheld = self._client.withheld(target)
        if known.compared is None:
            candidates = {*known.held, *known.names, *(target if known.wildcard else ())}
        else:
            candidates = known.doubtful | {
                n for n in target.changed_since(known.compared) if known.asked.wants(n)
            }
            candidates |= {n for n in withheld if known.asked.wants(n)}
        candidates |= known.behind | known.owed
        new, removed, behind, kept = [], [], set[str](), False
        for name in sorted(candidates):
            held = known.held.get(name)
            resource = target.find(name)
            absent = resource is None
            if resource is not None and name in withheld:
                behind.add(name)
                later = not self._client.refuses(resource)
                resource = self._stand_in(held, resource)
                if resource is None and later:
                    continue
            elif resource is None and held is not None:
                resource = self._snapshot.left(held, target.type_url, name)
            if resource is not None:
                if name in known.owed or held != resource:
                    new.append(resource)
            elif keep and held is not None and known.asked.wants(name):
                behind.add(name)
                kept = True
            elif held is not None or (absent and self._is_told(known, name, target.type_url)):
                removed.append(name)
        return _Difference(tuple(new), tuple(removed), frozenset(behind), kept)

    def _is_told(self, known: _Subscription, name: str, type_url: str) -> bool:
        """True if the client must be told that a name is absent which it does not surely hold."""
        asked = name in known.owed and type_url not in self._manners.silent
        return asked or name in known.doubtful

    def _follow(self, type_url: str, sent: set[str]) -> None:
        follower = FOLLOWED.get(type_url, "")
        if known := self._by_type.get(follower):
            existing = self._snapshot.of(follower)
            # Also what it is to lose later: that may be there again, unchanged, by then.
            there = {name for name in sent if name in existing or name in known.held}
            known.owed |= {name for name in there if known.asked.wants(name)}

    def _leading(self, type_url: str) -> set[str]:
        """Names sent on this stream that resources of *type_url* must follow."""
        leaders = [leader for leader, follower in FOLLOWED.items() if follower == type_url]
        return {n for leader in leaders if (k := self._by_type.get(leader)) for n in k.sent}

    def _reply(
        self,
        known: _Subscription,
        target: ResourceSet,
        resources: tuple[Resource, ...],
        removed: tuple[str, ...],
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        names = tuple(r.name for r in resources)
        sent = {r.name: r for r in resources}
        new, before = only_new(sent, known.held, names)
        known.held.update(sent)
        known.doubtful -= sent.keys() | set(removed)
        body = self._composer.delta(
            target.type_url, target.version, resources, removed=removed, faults=faults
        )
        reply = Reply(target.type_url, target.version, self._nonce(), names, body)
        if target.type_url in FOLDED:
            for earlier in known.unanswered.values():
                earlier.untried |= sent.keys() | set(removed) >= earlier.new.keys()
        overtaken: list[Sent] = []
        for one in known.unanswered.values():
            one.let_go(overtaken)
            overtaken.append(one)
        if len(overtaken) >= 2 * MOST_UNANSWERED:
            del known.unanswered[next(iter(known.unanswered))]
        known.unanswered[reply.nonce] = Sent(target.version, new, before)
        known.sent.update(names)
        known.responded = True
        return reply
