"""Quarantine: content that clients reject stops at them, and new content goes to a few first.

Everything is keyed by content, so a rejection ends with the content that it speaks of. No I/O; the
clock is passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from towpath.model.names import Account
from towpath.model.snapshot import Resource, ResourceSet, Vocabulary
from towpath.rollout.changes import Change, Difference, Intersections
from towpath.rollout.clients import ClientBuild, ClientRecord, Content, Rejection, content
from towpath.settings import RolloutSettings

H = TypeVar("H", bound=Hashable)

REMEMBERED_CLIENTS = 20_000
REMEMBERED_CONTENTS = 100_000
REMEMBERED_CHANGES = 1_000
REMEMBERED_REJECTIONS = 1_000
MOST_BUILDS = 32
"""How many versions of clients are told apart; what comes beyond them is one, by its kind."""


@dataclass(slots=True)
class Trial:
    """New content that nobody has accepted yet; *before* is what it takes the place of."""

    resource: Resource
    before: Resource | None
    since: float
    canaries: dict[Account | None, ClientRecord] = field(default_factory=dict)
    waiting: dict[str, ClientRecord] = field(default_factory=dict)  # by node id


@dataclass(slots=True)
class Verdict:
    """Content that its kind and version of client rejects: sent to nobody of them any more."""

    build: ClientBuild
    resource: Resource
    before: Resource | None
    at: float
    rejections: tuple[Rejection, ...]  # one of each identity that was asked


@dataclass(slots=True)
class _Herd:
    """What is known of one build."""

    accepted: OrderedDict[Content, None] = field(default_factory=OrderedDict)
    tried: OrderedDict[Content, None] = field(default_factory=OrderedDict)  # the wait is over
    trials: dict[Content, Trial] = field(default_factory=dict)
    heard: OrderedDict[Content, dict[Account | None, Rejection]] = field(
        default_factory=OrderedDict
    )
    verdicts: dict[Content, Verdict] = field(default_factory=dict)
    changes: OrderedDict[Difference, None] = field(default_factory=OrderedDict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)  # type -> names looked out for

    def knows(self, of: Content) -> bool:
        """True if it is not to be tried: it is, or was, or is known to be bad."""
        return of in self.accepted or of in self.tried or of in self.trials or of in self.verdicts

    def look_out_for(self, of: Content, by: int) -> None:
        names = self.names.setdefault(of[0], {})
        names[of[1]] = names.get(of[1], 0) + by
        if names[of[1]] <= 0:
            del names[of[1]]


def _only_one(_: ClientBuild, __: Account | None, ___: Content) -> bool:
    return False


class Quarantine:
    """What every client's client is made from.

    *settings* say how many sidecars try new content, each of another service account, how long the
    others wait at most, and for how long rejections count. *others(build,
    account, content)* is True if that content is, or may be, for clients of another account too.
    *waited* is told for how long content was kept from those who were to wait.
    """

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        clock: Callable[[], float],
        others: Callable[[ClientBuild, Account | None, Content], bool] = _only_one,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._canaries = settings.canaries
        self._wait = settings.canary_wait
        self._expiry = settings.quarantine_expiry
        self._others = others
        self._waited = waited
        self.intersections = Intersections()
        self._clients: OrderedDict[str, ClientRecord] = OrderedDict()
        self._herds: dict[ClientBuild, _Herd] = {}

    def client(
        self, node_id: str, build: ClientBuild, account: Account | None = None
    ) -> ClientRecord:
        """The client of one client; another version of its software begins anew."""
        build = self._told_apart(build)
        known = self._clients.get(node_id)
        if known is None or known.build != build:
            known = self._clients[node_id] = ClientRecord(
                node_id, build, account, fleet=self, clock=self._clock, expiry=self._expiry
            )
        self._clients.move_to_end(node_id)
        if len(self._clients) > REMEMBERED_CLIENTS:
            idle = (node_id for node_id, one in self._clients.items() if not one.wake)
            self._clients.pop(next(idle, ""), None)
        return known

    def leave(self, client: ClientRecord) -> None:
        """A stream of that client has ended; it is forgotten unless there is something to know."""
        if not client.worth_keeping and self._clients.get(client.node_id) is client:
            del self._clients[client.node_id]

    def changed(self, build: ClientBuild, changes: Iterable[Change]) -> None:
        """Note what becomes of a sidecar's snapshot: content that is new is tried first.

        What only narrows what was there before is in force at once, and is tried on nobody.
        """
        herd, now = self._herd(build), self._clock()
        for change in changes:
            if change.difference in herd.changes:
                continue
            _remember(herd.changes, change.difference, REMEMBERED_CHANGES)
            for new in change.news:
                of = content(new.resource)
                if not (new.narrows or herd.knows(of)):
                    herd.trials[of] = Trial(new.resource, new.before, now)
                    herd.look_out_for(of, 1)

    def withheld(self, client: ClientRecord, held: ResourceSet) -> frozenset[str]:
        """Names that this client must not be sent yet, or as long as they are what they are."""
        herd = self._herds.get(client.build)
        looked_out_for = herd.names.get(held.type_url) if herd else None
        if herd is None or not looked_out_for:
            return frozenset()
        names = (name for name in tuple(looked_out_for) if name in held)
        return frozenset(name for name in names if self._withholds(herd, client, held[name]))

    def refuses(self, build: ClientBuild, resource: Resource) -> bool:
        """True if clients of that build are not sent this content."""
        herd = self._herds.get(build)
        return herd is not None and content(resource) in herd.verdicts

    def base(self, build: ClientBuild, resource: Resource) -> Resource | None:
        """What was there before this content."""
        herd, of = self._herds.get(build), content(resource)
        if herd is None:
            return None
        found = herd.verdicts.get(of) or herd.trials.get(of)
        return found.before if found else None

    def intersection(
        self, vocabulary: Vocabulary, before: Resource, after: Resource
    ) -> Resource | None:
        """What both let through; it is worked out once for all clients."""
        return self.intersections.of(vocabulary, before, after)

    def accepted(self, client: ClientRecord, resources: Mapping[str, Resource]) -> None:
        """A client accepted these: whoever waits for one of them gets it."""
        herd = self._herd(client.build)
        for resource in resources.values():
            of = content(resource)
            _remember(herd.accepted, of, REMEMBERED_CONTENTS)
            herd.heard.pop(of, None)
            self._release(herd, of)

    def rejected(self, client: ClientRecord, rejection: Rejection) -> None:
        """A client rejected this: is it alone, or is the content bad?"""
        herd, of = self._herd(client.build), rejection.content
        if of in herd.accepted or of in herd.verdicts:
            return
        heard = herd.heard.setdefault(of, {})
        if len(herd.heard) > REMEMBERED_REJECTIONS:
            herd.heard.popitem(last=False)
        heard[client.account] = rejection
        if len(heard) < 2 and self._others(client.build, client.account, of):
            self._next_canary(herd, of)
            return
        herd.verdicts[of] = Verdict(
            client.build,
            rejection.resource,
            rejection.before,
            self._clock(),
            tuple(herd.heard.pop(of).values()),
        )
        herd.look_out_for(of, 1)
        self._release(herd, of)
        if len(herd.verdicts) > REMEMBERED_REJECTIONS:
            self._drop(herd, next(iter(herd.verdicts)))

    def account_of(self, node_id: str) -> Account | None:
        """The account of a client, if it is known."""
        client = self._clients.get(node_id)
        return client.account if client else None

    def verdicts(self) -> Iterator[Verdict]:
        """All content that is kept from a whole build."""
        for herd in self._herds.values():
            yield from herd.verdicts.values()

    def clients(self) -> Iterator[ClientRecord]:
        """All clients that have rejected something."""
        return (s for s in tuple(self._clients.values()) if s.rejections)

    def trials(self) -> int:
        """How much new content is being tried."""
        return sum(len(herd.trials) for herd in self._herds.values())

    def retire(self, in_use: Callable[[ClientBuild, Content], bool]) -> None:
        """Forget what is no part of any snapshot any more."""
        for build, herd in self._herds.items():
            kept = (*herd.verdicts, *herd.trials, *herd.heard)
            for of in [c for c in kept if not in_use(build, c)]:
                self._drop(herd, of)
        for client in self.clients():
            for of in [c for c in client.rejections if not in_use(client.build, c)]:
                del client.rejections[of]

    def __bool__(self) -> bool:
        """True if anything is tried, rejected, or kept from anybody."""
        herds = any(h.trials or h.verdicts or h.heard for h in self._herds.values())
        return herds or any(s.rejections for s in self._clients.values())

    @property
    def next_at(self) -> float | None:
        """When the next wait ends or the next verdict expires; None if there is none."""
        times = [
            at
            for herd in self._herds.values()
            for at in (
                *(trial.since + self._wait for trial in herd.trials.values()),
                *(verdict.at + self._expiry for verdict in herd.verdicts.values()),
            )
        ]
        return min(times, default=None)

    def pass_time(self) -> None:
        """End the waits that have lasted long enough, and the verdicts that are too old."""
        now = self._clock()
        for herd in self._herds.values():
            for of, trial in tuple(herd.trials.items()):
                if now - trial.since >= self._wait:
                    self._release(herd, of)
            for of, verdict in tuple(herd.verdicts.items()):
                if now - verdict.at >= self._expiry:
                    self._drop(herd, of)

    def _told_apart(self, build: ClientBuild) -> ClientBuild:
        """That build, if it is known or there is room for it, else that of its kind's unknown."""
        if build in self._herds:
            return build
        if len(self._herds) >= MOST_BUILDS:
            used = {client.build for client in self._clients.values()}
            idle = (f for f, herd in self._herds.items() if f not in used and not herd.verdicts)
            if (gone := next(idle, None)) is None:
                return ClientBuild(build.kind)
            del self._herds[gone]
        self._herd(build)
        return build

    def _herd(self, build: ClientBuild) -> _Herd:
        return self._herds.setdefault(build, _Herd())

    def _withholds(self, herd: _Herd, client: ClientRecord, resource: Resource) -> bool:
        of = content(resource)
        if of in herd.verdicts:
            return True
        trial = herd.trials.get(of)
        if trial is None:
            return False
        canary = trial.canaries.get(client.account)
        if canary is not None and canary.node_id == client.node_id:
            trial.canaries[client.account] = client  # it may have come back meanwhile
            return False
        if canary is None and self._wants_canaries(herd, trial):
            trial.canaries[client.account] = client
            return False
        trial.waiting[client.node_id] = client
        return True

    def _wants_canaries(self, herd: _Herd, trial: Trial) -> bool:
        """For each that has rejected it, another is asked, however few canaries there are to be."""
        rejected = len(herd.heard.get(content(trial.resource), ()))
        return len(trial.canaries) < max(self._canaries, rejected + 1)

    def _next_canary(self, herd: _Herd, of: Content) -> None:
        """One has rejected it and nobody yet accepted it: another identity is asked too."""
        trial = herd.trials.get(of)
        if trial is not None and self._wants_canaries(herd, trial):
            for client in tuple(trial.waiting.values()):
                client.nudge()

    def _release(self, herd: _Herd, of: Content) -> None:
        trial = herd.trials.pop(of, None)
        if trial is None:
            return
        herd.look_out_for(of, -1)
        _remember(herd.tried, of, REMEMBERED_CONTENTS)
        if trial.waiting:
            self._waited(self._clock() - trial.since)
        for client in trial.waiting.values():
            client.nudge()

    def _drop(self, herd: _Herd, of: Content) -> None:
        if herd.verdicts.pop(of, None) is not None:
            herd.look_out_for(of, -1)
        herd.heard.pop(of, None)
        herd.tried.pop(of, None)
        self._release(herd, of)


def _remember(kept: OrderedDict[H, None], one: H, limit: int) -> None:
    kept[one] = None
    kept.move_to_end(one)
    if len(kept) > limit:
        kept.popitem(last=False)
