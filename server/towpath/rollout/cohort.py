"""Cohort: what is known of each content among the clients of one build."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol
from weakref import WeakKeyDictionary

from towpath.model.names import Account
from towpath.model.snapshot import Resource, ResourceSet
from towpath.rollout.changes import Change, Difference
from towpath.rollout.content import (
    ClientBuild,
    Content,
    Quarantined,
    Rejection,
    State,
    content,
)
from towpath.rollout.holders import Holders
from towpath.settings import RolloutSettings

REMEMBERED_CONTENTS = 100_000
REMEMBERED_CHANGES = 1_000
REMEMBERED_REJECTIONS = 1_000
MOST_TOLD = 10
"""Rejections of one content that are kept when it is tried again."""

WATCHED = frozenset({State.ON_TRIAL, State.QUARANTINED})
"""States in which content is kept from some clients."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How new content is rolled out; *clock* is monotonic, in seconds.

    *waited* is called with the seconds for which content was kept from clients, *on_change* when
    there may be an earlier moment at which `pass_time` has something to do.
    """

    settings: RolloutSettings
    clock: Callable[[], float]
    waited: Callable[[float], None]
    on_change: Callable[[], None]


class Member(Protocol):
    """A client of the cohort."""

    node_id: str
    account: Account | None

    def nudge(self) -> None:
        """Have it look at its snapshot again."""

    def expire(self) -> bool:
        """Forget what it rejected too long ago; true if there was such."""

    def rejected_since(self) -> float | None:
        """When it rejected what it did first, of what is remembered; None: nothing is."""


@dataclass(slots=True)
class ContentRecord:
    """Content that is on trial, in quarantine, or was rejected by one; it is in *state* from
    *since*, in seconds, and takes the place of *before*. Of what is tried again while it is in
    quarantine, clients of *asked* accounts may be canaries; *doubters* have rejected it before.
    """

    state: State
    since: float
    resource: Resource | None = None
    before: Resource | None = None
    canaries: dict[Account | None, str] = field(default_factory=dict)  # to the node id
    rejections: dict[Account | None, Rejection] = field(default_factory=dict)
    accepted: bool = False  # by a client that was sent it before the quarantine
    asked: frozenset[Account | None] = frozenset()
    doubters: set[Account | None] = field(default_factory=set)


class Cohort:
    """All clients of one build, and the state of the content that they are sent."""

    def __init__(self, build: ClientBuild, rules: Rules) -> None:
        self.build = build
        self.revisions: Counter[str] = Counter()
        """By type, how often what may be sent to some client has changed."""
        self.holders: Holders[Member] = Holders()
        self._rules = rules
        self._records: dict[Content, ContentRecord] = {}
        self._concluded: OrderedDict[Content, State] = OrderedDict()  # WAITED or ACCEPTED
        self._changes: OrderedDict[Difference, None] = OrderedDict()
        self.watched: dict[str, Counter[str]] = {}
        """By type, the names under which something may not be sent to all."""
        self._counts: Counter[State] = Counter()
        self._rejecters: WeakKeyDictionary[Member, float] = WeakKeyDictionary()
        """Since when each that has rejected something has; it is nobody's that is forgotten."""

    def too_old(self, rejection: Rejection) -> bool:
        """True if it was so long ago that it does not count any more."""
        return self._rules.clock() >= rejection.at + self._rules.settings.quarantine_expiry

    def state(self, of: Content) -> State:
        """How far that content has come."""
        record = self._records.get(of)
        return record.state if record else self._concluded.get(of, State.NEW)

    def blocked(self, client: Member, resources: ResourceSet) -> frozenset[str]:
        """Names in *resources* that this client must not be sent now. Changes nothing."""
        watched = self.watched.get(resources.type_url)
        if not watched:
            return frozenset()
        present = resources.among(watched)
        return frozenset([r.name for r in present if self._blocks(client, r)])

    def refuses(self, of: Content) -> bool:
        """True if no client is sent this content."""
        record = self._records.get(of)
        return record is not None and record.state is State.QUARANTINED

    def before(self, resource: Resource) -> Resource | None:
        """What was there before this content."""
        record = self._records.get(content(resource))
        return record.before if record else None

    def changed(self, changes: Iterable[Change]) -> None:
        """Note what is new in a snapshot: it goes on trial, unless it only narrows what was there
        before; that is in force at once.
        """
        for change in changes:
            if change.difference in self._changes:
                continue
            self._changes[change.difference] = None
            if len(self._changes) > REMEMBERED_CHANGES:
                self._changes.popitem(last=False)
            for new in change.news:
                of = content(new.resource)
                if not new.narrows and self.state(of) is State.NEW:
                    self._begin_trial(of, new.resource, new.before)

    def enrol(self, client: Member, resources: Iterable[Resource]) -> None:
        """The client is sent these: of what is on trial it is a canary. For itself nothing else is
        blocked from then on than before.
        """
        for resource in resources:
            if resource.name in self.watched.get(resource.type_url, ()):
                record = self._records.get(content(resource))
                if record is not None and self._may_begin(client, record):
                    record.canaries[client.account] = client.node_id
                    self.revisions[resource.type_url] += 1

    def accepted(self, resources: Iterable[Resource]) -> None:
        """A client accepted these: whoever waits for one of them gets it."""
        accepted = self._concluded
        # Most of what one client accepts, another has before.
        news = [of for of in map(content, resources) if accepted.get(of) is not State.ACCEPTED]
        for of in news:
            record = self._records.get(of)
            if record is not None and record.state is State.QUARANTINED and not record.canaries:
                record.accepted = True
                continue
            self._conclude(of, State.ACCEPTED)
            if record is not None and record.state in WATCHED:
                self._release(_waiting(record, self.holders.of(of)), record.since)

    def rejected(
        self, client: Member, resource: Resource, *, before: Resource | None, text: str
    ) -> Rejection:
        """A client rejected this: is it alone, or is the content bad?"""
        of = content(resource)
        rejection = Rejection(client.node_id, resource, before, text, self._rules.clock())
        record = self._records.get(of) or ContentRecord(self.state(of), rejection.at)
        if record.state not in (State.ACCEPTED, State.QUARANTINED):
            record.rejections[client.account] = rejection
            self.revisions[of[0]] += 1
            self._judge(client, of, record, rejection)
        elif record.state is State.QUARANTINED and client.account in record.canaries:
            record.rejections[client.account] = rejection
        if not self._rejecters:
            self._rules.on_change()
        self._rejecters.setdefault(client, rejection.at)
        return rejection

    def _judge(
        self, client: Member, of: Content, record: ContentRecord, rejection: Rejection
    ) -> None:
        holders = self.holders.of(of)
        # What is in no snapshot stood in for something, as it may for a client of any account.
        alone = {holder.account for holder in holders} == {client.account}
        if alone or len(record.rejections) > 1:
            self._quarantine(of, record, rejection, holders)
            return
        self._put(of, record)
        if record.state is State.ON_TRIAL and self._wants_canary(record):
            for waiting in _waiting(record, holders):
                waiting.nudge()
        count = self._counts[State.NEW] + self._counts[State.WAITED]
        if count > REMEMBERED_REJECTIONS:
            self._forget_oldest_rejection()

    def quarantined(self) -> Iterator[Quarantined]:
        """All content that is kept from every client."""
        for record in self._records.values():
            if record.state is State.QUARANTINED and record.resource is not None:
                rejections = tuple(record.rejections.values())
                yield Quarantined(self.build, record.resource, rejections)

    def count(self, state: State) -> int:
        """How much content that is on trial or was rejected is in that state."""
        return self._counts[state]

    def retire(self) -> None:
        """Forget what is no part of any snapshot any more: should it come back, it is new. What
        stood in for something is part of none, and is remembered as long as that is rejected.
        """
        present = {of for of in self._records if self.holders.hold(of)}
        rejected = {of[:2] for of in present if self._records[of].rejections}
        for of in [of for of in self._records if of not in present]:
            record = self._records[of]
            if record.rejections and of[:2] in rejected:
                continue
            self._changes.clear()
            if record.state is State.ON_TRIAL:
                self._forget(of)  # nobody has answered
            else:
                self._drop(of)

    def __bool__(self) -> bool:
        """True if anything is on trial or was rejected."""
        return bool(self._records)

    @property
    def next_at(self) -> float:
        """When `pass_time` has something to do; infinite: nothing waits."""
        expiry = self._rules.settings.quarantine_expiry
        own = min(self._rejecters.values(), default=math.inf) + expiry
        return min(own, *map(self._ends_at, self._records.values()), math.inf)

    def pass_time(self) -> None:
        """End the waits that have lasted long enough, and have tried again what was rejected long
        enough ago.
        """
        now, expiry = self._rules.clock(), self._rules.settings.quarantine_expiry
        for of, record in tuple(self._records.items()):
            if now < self._ends_at(record):
                continue
            if record.state is State.ON_TRIAL and record.rejections:
                self._put(of, record, State.WAITED)
                self._release(_waiting(record, self.holders.of(of)), record.since)
            elif record.state is State.QUARANTINED:
                self._try_again(of, record)
            else:
                self._drop(of)
        for client in [one for one, since in self._rejecters.items() if now >= since + expiry]:
            if client.expire():
                client.nudge()
            if (since := client.rejected_since()) is None:
                del self._rejecters[client]
            else:
                self._rejecters[client] = since

    def _blocks(self, client: Member, resource: Resource) -> bool:
        record = self._records.get(content(resource))
        if record is None or record.state not in WATCHED:
            return False
        canary = record.canaries.get(client.account)
        if canary is not None:
            return canary != client.node_id
        return not self._may_begin(client, record)

    def _may_begin(self, client: Member, record: ContentRecord) -> bool:
        """True if the client would be one more canary."""
        if client.account in record.canaries:
            return False
        if record.state is State.QUARANTINED:
            most = self._rules.settings.canaries
            return client.account in record.asked and len(record.canaries) < most
        return record.state is State.ON_TRIAL and self._wants_canary(record)

    def _wants_canary(self, record: ContentRecord) -> bool:
        """For each that has rejected it, another is asked, however few canaries there are to be."""
        return len(record.canaries) < max(self._rules.settings.canaries, len(record.rejections) + 1)

    def _ends_at(self, record: ContentRecord) -> float:
        match record.state:
            case State.ON_TRIAL:
                return record.since + self._rules.settings.canary_wait
            case State.QUARANTINED:
                return record.since + self._rules.settings.quarantine_expiry
            case _:
                return math.inf

    # Who may move content from state to state: see the head of the package.

    def _begin_trial(self, of: Content, resource: Resource, before: Resource | None) -> None:
        record = self._records.get(of) or ContentRecord(State.NEW, 0.0)
        record.resource, record.before, record.since = resource, before, self._rules.clock()
        self._put(of, record, State.ON_TRIAL)
        self._rules.on_change()

    def _quarantine(
        self, of: Content, record: ContentRecord, rejection: Rejection, holders: list[Member]
    ) -> None:
        trial, began = record.state is State.ON_TRIAL, record.since
        waiting = _waiting(record, holders)
        record.resource, record.before = rejection.resource, rejection.before or record.before
        record.since, record.canaries = self._rules.clock(), {}
        self._put(of, record, State.QUARANTINED)
        if trial:
            self._release(waiting, began)
        if self._counts[State.QUARANTINED] > REMEMBERED_REJECTIONS:
            self._drop(next(c for c, r in self._records.items() if r.state is State.QUARANTINED))
        self._rules.on_change()

    def _try_again(self, of: Content, record: ContentRecord) -> None:
        """Its quarantine expires: a few of those that are to hold it are sent it, of accounts that
        have not rejected it yet, if there are such; for all others it goes on.
        """
        holders = self.holders.of(of)
        if record.accepted or not holders:
            self._drop(of)
        else:
            record.doubters |= record.rejections.keys()
            accounts = frozenset([holder.account for holder in holders])
            record.asked = accounts - record.doubters or accounts
            # What is said of it to people does not grow from one time to the next.
            record.rejections = dict(islice(reversed(record.rejections.items()), MOST_TOLD))
            record.canaries, record.since = {}, self._rules.clock()
            self.revisions[of[0]] += 1
        for client in holders:
            client.nudge()

    def _drop(self, of: Content) -> None:
        """Its trial, its quarantine, or the memory of its rejection is over."""
        record = self._records[of]
        if record.state is State.ON_TRIAL:
            self._conclude(of, State.WAITED)
            self._release(_waiting(record, self.holders.of(of)), record.since)
        elif record.accepted:
            self._conclude(of, State.ACCEPTED)
        else:
            self._forget(of)

    def _release(self, waiting: list[Member], began: float) -> None:
        """What began then has ended: whoever waited looks again."""
        if waiting:
            self._rules.waited(self._rules.clock() - began)
        for client in waiting:
            client.nudge()

    def _forget_oldest_rejection(self) -> None:
        of, record = next(
            (of, r) for of, r in self._records.items() if r.state in (State.NEW, State.WAITED)
        )
        if record.state is State.WAITED:
            self._conclude(of, State.WAITED)
        else:
            self._forget(of)

    def _put(self, of: Content, record: ContentRecord, state: State | None = None) -> None:
        if state is not None or of not in self._records:
            self._forget(of)
            record.state = state or record.state
            self._records[of] = record
            self._note(of, record.state, 1)

    def _conclude(self, of: Content, state: State) -> None:
        self._forget(of)
        self._concluded[of] = state
        if len(self._concluded) > REMEMBERED_CONTENTS:
            self._concluded.popitem(last=False)

    def _forget(self, of: Content) -> None:
        self._concluded.pop(of, None)
        record = self._records.pop(of, None)
        if record is not None:
            self._note(of, record.state, -1)

    def _note(self, of: Content, state: State, by: int) -> None:
        self._counts[state] += by
        self.revisions[of[0]] += 1
        if state in WATCHED:
            names = self.watched.setdefault(of[0], Counter())
            names[of[1]] += by
            if not names[of[1]]:
                del names[of[1]]
            if not names:
                del self.watched[of[0]]


def _waiting(record: ContentRecord, holders: list[Member]) -> list[Member]:
    canaries = set(record.canaries.values())
    return [client for client in holders if client.node_id not in canaries]
