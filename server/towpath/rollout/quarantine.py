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
from towpath.rollout.clients import Content, Flavour, Rejection, Standing, content

H = TypeVar("H", bound=Hashable)

REMEMBERED_CLIENTS = 20_000
REMEMBERED_CONTENTS = 100_000
REMEMBERED_CHANGES = 1_000
REMEMBERED_REJECTIONS = 1_000
MOST_FLAVOURS = 32
"""How many versions of clients are told apart; what comes beyond them is one, by its kind."""


@dataclass(slots=True)
class Trial:
    """New content that nobody has accepted yet; *before* is what it takes the place of."""

    resource: Resource
    before: Resource | None
    since: float
    canaries: dict[Account | None, Standing] = field(default_factory=dict)
    waiting: dict[str, Standing] = field(default_factory=dict)  # by node id


@dataclass(slots=True)
class Verdict:
    """Content that its kind and version of client rejects: sent to nobody of them any more."""

    flavour: Flavour
    resource: Resource
    before: Resource | None
    at: float
    rejections: tuple[Rejection, ...]  # one of each identity that was asked


@dataclass(slots=True)
class _Herd:
    """What is known of one flavour."""

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


def _only_one(_: Flavour, __: Account | None, ___: Content) -> bool:
    return False


class Quarantine:
    """What every client's standing is made from.

    *canaries* is how many sidecars try new content, each of another service account; the others
    wait for *wait* seconds at most. Rejections count for *expiry* seconds. *others(flavour,
    account, content)* is True if that content is, or may be, for clients of another account too.
    *waited* is told for how long content was kept from those who were to wait.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        canaries: int = 2,
        wait: float = 1.0,
        expiry: float = 3600.0,
        others: Callable[[Flavour, Account | None, Content], bool] = _only_one,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._canaries = canaries
        self._wait = wait
        self._expiry = expiry
        self._others = others
        self._waited = waited
        self.intersections = Intersections()
        self._standings: OrderedDict[str, Standing] = OrderedDict()
        self._herds: dict[Flavour, _Herd] = {}

    def standing(self, node_id: str, flavour: Flavour, account: Account | None = None) -> Standing:
        """The standing of one client; another version of its software begins anew."""
        flavour = self._told_apart(flavour)
        known = self._standings.get(node_id)
        if known is None or known.flavour != flavour:
            known = self._standings[node_id] = Standing(
                node_id, flavour, account, fleet=self, clock=self._clock, expiry=self._expiry
            )
        self._standings.move_to_end(node_id)
        if len(self._standings) > REMEMBERED_CLIENTS:
            idle = (node_id for node_id, one in self._standings.items() if not one.wake)
            self._standings.pop(next(idle, ""), None)
        return known

    def leave(self, standing: Standing) -> None:
        """A stream of that client has ended; it is forgotten unless there is something to know."""
        if not standing.worth_keeping and self._standings.get(standing.node_id) is standing:
            del self._standings[standing.node_id]

    def changed(self, flavour: Flavour, changes: Iterable[Change]) -> None:
        """Note what becomes of a sidecar's snapshot: content that is new is tried first.

        What only narrows what was there before is in force at once, and is tried on nobody.
        """
        herd, now = self._herd(flavour), self._clock()
        for change in changes:
            if change.difference in herd.changes:
                continue
            _remember(herd.changes, change.difference, REMEMBERED_CHANGES)
            for new in change.news:
                of = content(new.resource)
                if not (new.narrows or herd.knows(of)):
                    herd.trials[of] = Trial(new.resource, new.before, now)
                    herd.look_out_for(of, 1)

    def withheld(self, standing: Standing, held: ResourceSet) -> frozenset[str]:
        """Names that this client must not be sent yet, or as long as they are what they are."""
        herd = self._herds.get(standing.flavour)
        looked_out_for = herd.names.get(held.type_url) if herd else None
        if herd is None or not looked_out_for:
            return frozenset()
        names = (name for name in tuple(looked_out_for) if name in held)
        return frozenset(name for name in names if self._withholds(herd, standing, held[name]))

    def refuses(self, flavour: Flavour, resource: Resource) -> bool:
        """True if clients of that flavour are not sent this content."""
        herd = self._herds.get(flavour)
        return herd is not None and content(resource) in herd.verdicts

    def base(self, flavour: Flavour, resource: Resource) -> Resource | None:
        """What was there before this content."""
        herd, of = self._herds.get(flavour), content(resource)
        if herd is None:
            return None
        found = herd.verdicts.get(of) or herd.trials.get(of)
        return found.before if found else None

    def intersection(
        self, vocabulary: Vocabulary, before: Resource, after: Resource
    ) -> Resource | None:
        """What both let through; it is worked out once for all clients."""
        return self.intersections.of(vocabulary, before, after)

    def accepted(self, standing: Standing, resources: Mapping[str, Resource]) -> None:
        """A client accepted these: whoever waits for one of them gets it."""
        herd = self._herd(standing.flavour)
        for resource in resources.values():
            of = content(resource)
            _remember(herd.accepted, of, REMEMBERED_CONTENTS)
            herd.heard.pop(of, None)
            self._release(herd, of)

    def rejected(self, standing: Standing, rejection: Rejection) -> None:
        """A client rejected this: is it alone, or is the content bad?"""
        herd, of = self._herd(standing.flavour), rejection.content
        if of in herd.accepted or of in herd.verdicts:
            return
        heard = herd.heard.setdefault(of, {})
        if len(herd.heard) > REMEMBERED_REJECTIONS:
            herd.heard.popitem(last=False)
        heard[standing.account] = rejection
        if len(heard) < 2 and self._others(standing.flavour, standing.account, of):
            self._next_canary(herd, of)
            return
        herd.verdicts[of] = Verdict(
            standing.flavour,
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
        standing = self._standings.get(node_id)
        return standing.account if standing else None

    def verdicts(self) -> Iterator[Verdict]:
        """All content that is kept from a whole flavour."""
        for herd in self._herds.values():
            yield from herd.verdicts.values()

    def standings(self) -> Iterator[Standing]:
        """All clients that have rejected something."""
        return (s for s in tuple(self._standings.values()) if s.rejections)

    def trials(self) -> int:
        """How much new content is being tried."""
        return sum(len(herd.trials) for herd in self._herds.values())

    def retire(self, in_use: Callable[[Flavour, Content], bool]) -> None:
        """Forget what is no part of any snapshot any more."""
        for flavour, herd in self._herds.items():
            kept = (*herd.verdicts, *herd.trials, *herd.heard)
            for of in [c for c in kept if not in_use(flavour, c)]:
                self._drop(herd, of)
        for standing in self.standings():
            for of in [c for c in standing.rejections if not in_use(standing.flavour, c)]:
                del standing.rejections[of]

    def __bool__(self) -> bool:
        """True if anything is tried, rejected, or kept from anybody."""
        herds = any(h.trials or h.verdicts or h.heard for h in self._herds.values())
        return herds or any(s.rejections for s in self._standings.values())

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

    def _told_apart(self, flavour: Flavour) -> Flavour:
        """That flavour, if it is known or there is room for it, else that of its kind's unknown."""
        if flavour in self._herds:
            return flavour
        if len(self._herds) >= MOST_FLAVOURS:
            used = {standing.flavour for standing in self._standings.values()}
            idle = (f for f, herd in self._herds.items() if f not in used and not herd.verdicts)
            if (gone := next(idle, None)) is None:
                return Flavour(flavour.kind)
            del self._herds[gone]
        self._herd(flavour)
        return flavour

    def _herd(self, flavour: Flavour) -> _Herd:
        return self._herds.setdefault(flavour, _Herd())

    def _withholds(self, herd: _Herd, standing: Standing, resource: Resource) -> bool:
        of = content(resource)
        if of in herd.verdicts:
            return True
        trial = herd.trials.get(of)
        if trial is None:
            return False
        canary = trial.canaries.get(standing.account)
        if canary is not None and canary.node_id == standing.node_id:
            trial.canaries[standing.account] = standing  # it may have come back meanwhile
            return False
        if canary is None and self._wants_canaries(herd, trial):
            trial.canaries[standing.account] = standing
            return False
        trial.waiting[standing.node_id] = standing
        return True

    def _wants_canaries(self, herd: _Herd, trial: Trial) -> bool:
        """For each that has rejected it, another is asked, however few canaries there are to be."""
        rejected = len(herd.heard.get(content(trial.resource), ()))
        return len(trial.canaries) < max(self._canaries, rejected + 1)

    def _next_canary(self, herd: _Herd, of: Content) -> None:
        """One has rejected it and nobody yet accepted it: another identity is asked too."""
        trial = herd.trials.get(of)
        if trial is not None and self._wants_canaries(herd, trial):
            for standing in tuple(trial.waiting.values()):
                standing.nudge()

    def _release(self, herd: _Herd, of: Content) -> None:
        trial = herd.trials.pop(of, None)
        if trial is None:
            return
        herd.look_out_for(of, -1)
        _remember(herd.tried, of, REMEMBERED_CONTENTS)
        if trial.waiting:
            self._waited(self._clock() - trial.since)
        for standing in trial.waiting.values():
            standing.nudge()

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
