"""Delta: every response holds what is new to this client, and what is gone (XP, «Incremental
xDS»).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Set

from towpath.model.snapshot import Resource, ResourceSet
from towpath.rollout.records import Holding
from towpath.xds.absence import MOST_TOLD, Fault
from towpath.xds.difference import NOTHING, Difference
from towpath.xds.holdings import Holdings
from towpath.xds.messages import DeltaRequest, Event, Reply
from towpath.xds.subscription import WILDCARD
from towpath.xds.substream import FOLDED, FULL_STATE, Substream, never
from towpath.xds.unanswered import MOST_UNANSWERED, Sent
from towpath.xds.view import View
from towpath.xds.wire import Composer

AT_ONCE = 1_000
"""How many of the names that a client has brought, and that are not there, are looked at in one
step: it may bring any, and everybody else waits meanwhile.
"""

MANY = 100
"""Of more names, those that are not there are told from the others at once: a client may ask for
many thousands.
"""


class DeltaSubstream(Substream[DeltaRequest]):
    """One type on a stream of the delta variant."""

    def __init__(
        self, type_url: str, view: View, *, composer: Composer, nonce: Callable[[], str]
    ) -> None:
        most = 2 * MOST_UNANSWERED  # some that take access away besides
        super().__init__(type_url, view, composer=composer, nonce=nonce, most_unanswered=most)
        self._owed: set[str] = set()
        self._compared: ResourceSet | None = None  # what `resources` was last brought up to …
        self._behind: set[str] = set()  # … but for these names
        self._doubtful: set[str] = set()  # the client may have taken it nevertheless
        self._responded = False
        self.brought: list[tuple[str, str]] = []  # names and versions that were not looked at yet
        self._batch: frozenset[str] = frozenset()  # names that were looked at last
        self._due: Difference | None = None  # of these resources, of which these are blocked:
        self._target, self._blocked = ResourceSet(type_url, ()), frozenset[str]()
        self._seen = view.moment, 0  # as of that moment and revision of the client

    def begin(self, request: DeltaRequest, *, leading: Set[str]) -> None:
        brought = request.initial_versions
        target = self._view.sets[self.type_url]
        there = [name for name in brought if name in target]
        self.resources = Holdings.of(
            self.type_url, {n: Resource(self.type_url, n, brought[n], b"") for n in there}
        )
        self.brought = [item for item in brought.items() if item[0] not in self.resources]
        self._owed = {n for n in request.subscribe if n not in brought or n in leading}
        self.returned = bool(brought)
        self._change_subscription(request)
        self.look_at_more()

    def on_request(self, request: DeltaRequest) -> list[Event]:
        events = self._take_answer(request)
        self._owed.update(request.subscribe)
        # Changes count even if the nonce is stale: it only pairs an answer with a response.
        self._change_subscription(request)
        if self._compared is None and not self._batch:
            self.look_at_more()
        return events

    def overtaken(self, request: DeltaRequest) -> bool:
        """Never: each request says what has changed."""
        del request
        return False

    def part(self, view: View) -> None:
        super().part(view)
        self._owed, self._behind = set(self._owed), set(self._behind)
        self._doubtful = set(self._doubtful)

    def signature(self) -> Hashable | None:
        same = super().signature()
        behind = self._behind or self._doubtful or self._blocked
        if behind or self._compared is not self._view.sets.get(self.type_url):
            return None
        return None if same is None else (same, self._responded)

    @property
    def asks(self) -> bool:
        return self._compared is None or bool(self._owed)

    @property
    def outdated(self) -> bool:
        due = self._due or self._difference()
        return bool(due.new or due.removed or self.brought)

    @property
    def has_more(self) -> bool:
        """True if there is more, and the client was told of what was looked at before."""
        if not self.brought or self._compared is None:
            return False
        target = self._view.sets[self.type_url]
        return all(name in target for name in self._batch & self._behind)

    def look_at_more(self) -> None:
        """Look at some of what the client brought as if it had brought it just now."""
        batch, self.brought = self.brought[:AT_ONCE], self.brought[AT_ONCE:]
        new = {
            name: Resource(self.type_url, name, version, b"")
            for name, version in batch
            if self.subscription.wants(name) and name not in self.resources
        }
        self.resources = self.resources.changed(new)
        self._behind |= new.keys()
        self._batch = frozenset(new)
        self._change()

    def follow(self, names: Set[str]) -> None:
        target = self._view.sets[self.type_url]
        # Also what it is to lose later: that may be there again, unchanged, by then.
        there = {name for name in names if name in target or name in self.resources}
        self._owed |= {name for name in there if self.subscription.wants(name)}
        self._change()

    def holding(self) -> Holding:
        return self._holding(name for sent in self._unanswered for name in sent.new)

    def look(self) -> None:
        moment, revision = self._seen
        if (
            moment is not self._view.moment
            or revision != self._view.client.revisions[self.type_url]
        ):
            self._due = None

    def revoke(self) -> Reply | None:
        due = self._due or self._difference()
        if not due.revoked:
            return None
        wants = self.subscription.wants
        sending = tuple(r for r in due.new if r.name in due.revoked and wants(r.name))
        return self._reply(sending, ()) if sending else None

    def narrow(self) -> Reply | None:
        if self._compared is None:
            return None  # the first answer is of everything
        due = self._due or self._difference()
        sending: list[Resource] = []
        removed = [n for n in due.removed if n in self.resources and self.type_url in FULL_STATE]
        for resource in due.new:
            before = self.resources.get(resource.name)
            if before is None:
                continue
            # What it holds is not known of a client that has come back: then nothing may wait.
            left = self._view.stand_in(before, resource) if before.packed else resource
            if left is None:
                removed.append(resource.name)
            elif left != before:
                sending.append(left)
        self._behind |= {r.name for r in due.new}
        self._behind.update(removed)
        if not (sending or removed):
            return None
        return self._reply(tuple(sending), tuple(removed))

    def push(self, *, keep: Callable[[], bool] = never, owed_only: bool = False) -> Reply | None:
        self.keeps = False
        if len(self._unanswered.responses) >= MOST_UNANSWERED and not self._owed:
            return None
        if self._compared is None and self.returned:
            self._recall()
        due = self._due or self._difference()
        target = self._target
        if due is NOTHING and target is self._compared and not self._owed and self._responded:
            self._begin_rest()
            return None
        if due.removed and keep():
            wants, resources = self.subscription.wants, self.resources
            due = due.keeping({n for n in due.removed if n in resources and wants(n)})
        if owed_only and self._responded:
            due = due.only(self._owed)
        self.keeps = bool(due.kept)
        later = due.later
        owed, self._owed = self._owed, {n for n in self._owed & later if n not in target}
        self._compared, self._behind = target, set(later)
        self._change()
        first = not self._responded and self.subscription.wildcard and not self.resources
        if not (due.new or due.removed or first):
            self.resources = self.resources.over(target)
            self._due = None if later or self._owed or self._doubtful else NOTHING
            if self._due is NOTHING and self._responded:
                self._begin_rest()
            return None
        absent = [name for name in due.removed if name in owed]
        faults = self._view.faults(self.type_url, absent) if absent else ()
        return self._reply(due.new, due.removed, faults)

    def _begin_rest(self) -> None:
        """The client holds what it is to hold, and nothing is left for later."""
        if not (self._blocked or self.brought):
            self.rest = self._target, self._view.client.revisions[self.type_url]

    def _change(self) -> None:
        """What the client asks for, is owed or holds has changed: compare anew."""
        self._due = self.rest = None

    def _recall(self) -> None:
        """What a client says it holds is known in full if it is what there is now."""
        self.resources = self.resources.over(self._view.sets[self.type_url])
        self._change()

    def _take_answer(self, request: DeltaRequest) -> list[Event]:
        sent = self._unanswered.pop(request.nonce)
        if sent is None:
            return []
        if request.error is None:
            for other in self._unanswered:
                other.confirm(sent)
            return [self._acknowledged(sent)]
        nack, names, restored = self._rejected(sent, request.error)
        for name in names:
            self._fall_back(name, sent)
        self._owed |= restored
        return [nack]

    def _fall_back(self, name: str, sent: Sent) -> None:
        """The client did not take what was new in a response under this name."""
        rejected, others = sent.new[name], self._unanswered.responses.values()
        self._change()
        later = [other.new.get(name) for other in others] if sent.untried else []
        if self.resources.get(name) == rejected and rejected not in later:
            self.resources = self.resources.changed({name: sent.before.get(name)})
            self._behind.add(name)
            self._doubtful.add(name)
        for other in others:
            if other.before.get(name) == rejected:
                other.forget(name, sent)

    def _change_subscription(self, request: DeltaRequest) -> None:
        subscribe, unsubscribe = request.subscribe, request.unsubscribe
        before = self.subscription
        self.subscription = before.changed(subscribe, unsubscribe)
        if self.subscription is before and not subscribe:
            return
        self._change()
        if WILDCARD in subscribe:
            self._compared = None
        self._owed.discard(WILDCARD)
        if self.subscription.wildcard:
            # XP, «Unsubscribing»: the client cannot know whether the wildcard covers them.
            self._owed |= (unsubscribe & before.names) | (unsubscribe & subscribe)
            self.resources = self.resources.unlimited()
            return
        names = self.subscription.names
        self.resources = self.resources.limited(names)
        self._owed &= names
        self._behind &= names
        self._doubtful &= names

    def _difference(self) -> Difference:
        """What differs from what the client holds, and what must be sent anyhow; kept until
        something changes.
        """
        view, type_url = self._view, self.type_url
        self._seen = view.moment, view.client.revisions[type_url]
        self._target, self._blocked = view.sets[type_url], view.blocked(type_url)
        self._due = self._compare(self._target, self._blocked)
        return self._due

    def _compare(self, target: ResourceSet, names: frozenset[str]) -> Difference:
        candidates = self._candidates(target, names)
        if not candidates:
            return NOTHING
        blocked, revoked = candidates & names, set[str]()
        new, removed = list[Resource](), list[str]()
        unknown = set[str]()
        if len(candidates) > MANY:
            unknown |= self.resources.missing(target.missing(candidates))
        for name in sorted(candidates - unknown):
            before, there = self.resources.find(name), target.find(name)
            if there is None and before is None:
                unknown.add(name)
                continue
            resource = self._given(name, before, there, blocked)
            changed = resource is not before and resource != before
            if resource is not None:
                if changed or name in self._owed:
                    new.append(resource)
                if changed and there is None:
                    revoked.add(name)
            elif there is not None and name in blocked and not self._view.client.refuses(there):
                continue  # it is only blocked for a while
            elif before is not None:
                removed.append(name)
        absent = sorted(self._told(unknown)) if unknown else []
        return Difference(
            tuple(new),
            tuple(sorted([*removed, *absent[:MOST_TOLD]])),
            blocked,
            postponed=frozenset(absent[MOST_TOLD:]),
            revoked=frozenset(revoked),
        )

    def _candidates(self, target: ResourceSet, blocked: frozenset[str]) -> frozenset[str]:
        """Names that must be looked at: all of them at first, then those that may differ."""
        if self._compared is None:
            everything = target if self.subscription.wildcard else ()
            names = frozenset((*self.resources, *self.subscription.names, *everything))
        else:
            changed = blocked
            if target is not self._compared:
                changed = blocked | target.changed_since(self._compared)
            if not self.subscription.wildcard:
                changed &= self.subscription.names
            names = changed | self._doubtful
        return names | self._behind | self._owed

    def _given(
        self, name: str, before: Resource | None, there: Resource | None, blocked: frozenset[str]
    ) -> Resource | None:
        """What a client that holds *before* is to hold under that name, of what is there now."""
        if there is None:
            return self._view.left(before, self.type_url, name)
        return self._view.stand_in(before, there) if name in blocked else there

    def _told(self, unknown: Set[str]) -> Set[str]:
        """Of names that are not there, and that the client does not surely hold, those of which it
        must be told.
        """
        silent = self.type_url in self._view.absence.silent
        return unknown & (self._doubtful if silent else self._owed | self._doubtful)

    def _reply(
        self,
        resources: tuple[Resource, ...],
        removed: tuple[str, ...],
        faults: tuple[Fault, ...] = (),
    ) -> Reply:
        version = self._target.version
        by_name = {resource.name: resource for resource in resources}
        left = self.resources.changed(dict.fromkeys(removed))
        sent = Sent.of(version, by_name, by_name, left)
        for earlier in reversed(self._unanswered.responses.values()):
            sent.repeat(earlier, by_name)
        self.resources = left.changed(by_name).over(self._target)
        self._change()
        self._doubtful -= by_name.keys() | set(removed)
        if self.type_url in FOLDED:
            for earlier in self._unanswered:
                earlier.untried |= by_name.keys() | set(removed) >= earlier.new.keys()
        self._view.enrol(resources)
        nonce = self._nonce()
        self._unanswered.add(nonce, sent)
        self._responded = True
        body = self._composer.delta(
            self.type_url, version, resources, removed=removed, faults=faults
        )
        names = tuple(by_name)
        return Reply(self.type_url, version, nonce, names, body, frozenset(names))
