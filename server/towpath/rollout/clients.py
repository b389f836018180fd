"""One client: what it must not be sent although it is in its snapshot, and what it has rejected."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from towpath.model.names import Account
from towpath.model.snapshot import Resource, ResourceSet, Snapshot, Vocabulary
from towpath.model.text import shorten
from towpath.rollout.bisection import Bisection
from towpath.rollout.changes import Intersections
from towpath.rollout.cohort import Cohort
from towpath.rollout.content import ClientBuild, Content, Rejection, content

LIMIT = 100
"""How many rejections of one client are remembered of content that it is not to hold now, the
newest. Of what it is to hold all are: it would else be sent that, reject it, and so without an end.
"""

LONGEST_TEXT = 2000
"""How many characters are remembered of what a client said; the middle is lost."""


class ClientStream(Protocol):
    """One of a client's streams."""

    def nudge(self) -> None:
        """Look at the snapshot again: what the client may be sent has changed."""


class Conditions(NamedTuple):
    """Equal for clients of a cohort that may be sent the same: the revisions of all types, and what
    is blocked, by type; of nothing if nothing can be.
    """

    revisions: tuple[int, ...]
    blocked: tuple[tuple[str, frozenset[str]], ...] = ()


class ClientRecord:
    """One client, by its node id; it outlives the client's streams."""

    def __init__(
        self, node_id: str, cohort: Cohort, account: Account | None, *, intersections: Intersections
    ) -> None:
        self.node_id = node_id
        self.account = account
        self.rejections: OrderedDict[Content, Rejection] = OrderedDict()
        self.revisions = cohort.revisions
        """Counts, by type, the changes of what this client may be sent; see `expire`."""
        self._cohort = cohort
        self._intersections = intersections
        self._streams: dict[ClientStream, Snapshot | None] = {}
        self.bisections: dict[str, Bisection] = {}
        self._partly: set[str] = set()  # types of which it may hold a part of what it rejected
        self._most = LIMIT

    @property
    def build(self) -> ClientBuild:
        return self._cohort.build

    def open(self, stream: ClientStream) -> None:
        """The client has that stream, too."""
        self._streams[stream] = None

    def show(self, stream: ClientStream, snapshot: Snapshot) -> None:
        """The stream has a new snapshot."""
        old, self._streams[stream] = self._streams[stream], snapshot
        self._cohort.holders.moved(self, old, snapshot)

    def close(self, stream: ClientStream) -> None:
        """The stream has ended."""
        self._cohort.holders.moved(self, self._streams.pop(stream), None)

    def blocked(self, resources: ResourceSet) -> frozenset[str]:
        """Names in *resources* that must not be sent to this client now. Changes nothing."""
        names = self._cohort.blocked(self, resources)
        if self.rejections:
            names |= self._own(resources, but=names)
        bisection = self.bisections.get(resources.type_url)
        if bisection is not None and bisection.groups:
            names |= bisection.pending() & resources.keys()
        return names

    def conditions(self, snapshot: Snapshot, types: Iterable[str]) -> Conditions:
        """What decides what the client may be sent of these types now."""
        revisions = tuple(self.revisions.values())
        if not (self._cohort.watched or self.rejections or self.bisections):
            return Conditions(revisions)
        blocked = [(type_url, self.blocked(snapshot.of(type_url))) for type_url in types]
        return Conditions(revisions, tuple(blocked))

    def enrol(self, resources: Iterable[Resource]) -> None:
        """The client is about to be sent these: of what is on trial it is a canary."""
        if self._cohort.watched:
            self._cohort.enrol(self, resources)

    def refuses(self, resource: Resource) -> bool:
        """True if this very content was rejected, by this client or by its like."""
        of = content(resource)
        return self._rejects(of) or self._cohort.refuses(of)

    def base(self, resource: Resource) -> Resource | None:
        """What others held before this resource, for a client that holds nothing; None while this
        one waits for a search, as that may be what is searched for.
        """
        own = self.rejections.get(content(resource)) if self.rejections else None
        if own is not None and own.before is not None:
            return own.before
        search = self.bisections.get(resource.type_url)
        if search and resource.name in search and not self.refuses(resource):
            return None
        return self._cohort.before(resource)

    def intersection(
        self, vocabulary: Vocabulary, before: Resource, after: Resource
    ) -> Resource | None:
        """What both let through; it is worked out once for all clients."""
        return self._intersections.of(vocabulary, before, after)

    def uncompared(
        self, vocabulary: Vocabulary, pairs: Iterable[tuple[Resource, Resource]]
    ) -> list[tuple[Resource, Resource]]:
        """Those of *pairs* whose intersection is not known yet."""
        return [pair for pair in pairs if self._intersections.lacks(vocabulary, *pair)]

    def distrusts(self, type_url: str) -> bool:
        """True if something of that type was rejected: the client may hold a part of a version."""
        return type_url in self._partly

    def accepted(self, type_url: str, resources: Mapping[str, Resource]) -> None:
        """The client accepted these, which it had not held before."""
        if bisection := self.bisections.get(type_url):
            bisection.accepted(resources)
            self.revisions[type_url] += 1
        self._cohort.accepted(resources.values())
        if self.rejections:
            self._forget_replaced(type_url, resources)

    def rejected(
        self,
        type_url: str,
        new: Mapping[str, Resource],
        before: Mapping[str, Resource],
        text: str,
    ) -> tuple[str, ...]:
        """The client rejected a response in which *new* was what it had not accepted before.

        Gives the names that are known to be bad; none while they are still searched for.
        """
        self._partly.add(type_url)
        bisection = self.bisections.setdefault(type_url, Bisection())
        bad = bisection.rejected(new, text)
        self.revisions[type_url] += 1
        message = shorten(text, LONGEST_TEXT)
        for name in bad:
            resource, previous = new.get(name), before.get(name)
            if resource is None:
                continue
            previous = previous if previous is not None and previous.packed else None
            rejection = self._cohort.rejected(self, resource, before=previous, text=message)
            self.rejections[content(resource)] = rejection
        if len(self.rejections) > self._most:
            self._forget_unused()
        return bad

    def next_half(self, type_url: str) -> bool:
        """Nothing of that type is under way: go on to the next half of what was rejected; False if
        there is none.
        """
        bisection = self.bisections.get(type_url)
        if bisection is None or not bisection.next_half():
            return False
        self.revisions[type_url] += 1
        return True

    def nudge(self) -> None:
        """Have the client's streams look at their snapshot again."""
        for stream in tuple(self._streams):
            stream.nudge()

    @property
    def has_rejected(self) -> bool:
        """True if what it may be sent hangs on more than its account, its build and its name."""
        return bool(self.rejections or self._partly or self.bisections)

    @property
    def connected(self) -> bool:
        """True if it has a stream."""
        return bool(self._streams)

    @property
    def worth_keeping(self) -> bool:
        """True if the client must be known again when it comes back."""
        return bool(self._streams or self.rejections or self._partly)

    def expire(self) -> bool:
        """Forget what was rejected too long ago; true if there was such."""
        old = [of for of, one in self.rejections.items() if self._cohort.too_old(one)]
        for of in old:
            del self.rejections[of]
            self.revisions[of[0]] += 1
        return bool(old)

    def rejected_since(self) -> float | None:
        """When it rejected what it did first, of what is remembered; None: nothing is."""
        return min((rejection.at for rejection in self.rejections.values()), default=None)

    def retire(self) -> None:
        """Forget the rejections of what is in no snapshot any more; but not of what stood in for
        something, as long as that may not be sent.
        """
        if self.expire():
            self.nudge()
        present = {of for of in self.rejections if self._cohort.holders.hold(of)}
        names = {of[:2] for of in present}
        watched = self._cohort.watched
        for of in [of for of in self.rejections if of not in present and of[:2] not in names]:
            if not self._streams or of[1] not in watched.get(of[0], ()):
                del self.rejections[of]
                self.revisions[of[0]] += 1

    def _forget_replaced(self, type_url: str, resources: Mapping[str, Resource]) -> None:
        """Forget what was rejected before these, which have come instead and were accepted; not if
        they stand in for something themselves.
        """
        hold = self._cohort.holders.hold
        names = {name for name, resource in resources.items() if hold(content(resource))}
        gone = [of for of in self.rejections if of[0] == type_url and of[1] in names]
        for of in [of for of in gone if not hold(of)]:
            del self.rejections[of]
            self.revisions[type_url] += 1

    def _forget_unused(self) -> None:
        """Forget the oldest of what is in none of its snapshots; not looked for again before there
        are twice as many.
        """
        unused = [of for of in self.rejections if not self._is_to_hold(of)]
        for of in unused[: len(self.rejections) - LIMIT]:
            del self.rejections[of]
        self._most = max(LIMIT, 2 * len(self.rejections))

    def _is_to_hold(self, of: Content) -> bool:
        type_url, name, version = of
        snapshots = (snapshot for snapshot in self._streams.values() if snapshot is not None)
        there = (snapshot.of(type_url).find(name) for snapshot in snapshots)
        return any(resource is not None and resource.version == version for resource in there)

    def _own(self, resources: ResourceSet, *, but: frozenset[str]) -> set[str]:
        """Names in *resources* that it has rejected itself."""
        type_url = resources.type_url
        mine = [of for of in self.rejections if of[0] == type_url and of[1] not in but]
        if not mine:
            return set()
        present = set(map(content, resources.among([name for _, name, _ in mine])))
        return {of[1] for of in mine if of in present and self._rejects(of)}

    def _rejects(self, of: Content) -> bool:
        rejection = self.rejections.get(of)
        return rejection is not None and not self._cohort.too_old(rejection)
