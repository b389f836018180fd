"""ClientRecord: what one client must not be sent although it is in its snapshot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from towpath.model.names import Account, ClientKind
from towpath.model.snapshot import Resource, ResourceSet, Vocabulary
from towpath.model.text import shorten
from towpath.rollout.bisection import Bisection

LIMIT = 100
"""How many rejections of one client are remembered, the newest."""

LONGEST_TEXT = 2000
"""How many characters are remembered of what a client said; the middle is lost."""


@dataclass(frozen=True, slots=True, order=True)
class ClientBuild:
    """A kind and version of client: what one of them rejects, the others would."""

    kind: ClientKind
    software: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.software or self.kind} {self.version}".rstrip()


Content = tuple[str, str, str]
"""(type URL, name, version) of one resource."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One resource that a client rejected, in its words; *before*: what it held and still holds."""

    node_id: str
    resource: Resource
    before: Resource | None
    text: str
    at: float

    @property
    def content(self) -> Content:
        return content(self.resource)


class Fleet(Protocol):
    """What a client's client hangs on beside its own rejections: the other clients."""

    def withheld(self, client: ClientRecord, held: ResourceSet) -> frozenset[str]: ...

    def refuses(self, build: ClientBuild, resource: Resource) -> bool: ...

    def base(self, build: ClientBuild, resource: Resource) -> Resource | None: ...

    def intersection(
        self, vocabulary: Vocabulary, before: Resource, after: Resource
    ) -> Resource | None: ...

    def accepted(self, client: ClientRecord, resources: Mapping[str, Resource]) -> None: ...

    def rejected(self, client: ClientRecord, rejection: Rejection) -> None: ...


class ClientRecord:
    """One client, by its node id; it outlives the client's streams.

    *clock* is monotonic, in seconds; a rejection counts for *expiry* seconds.
    """

    def __init__(
        self,
        node_id: str,
        build: ClientBuild,
        account: Account | None,
        *,
        fleet: Fleet,
        clock: Callable[[], float],
        expiry: float,
    ) -> None:
        self.node_id = node_id
        self.build = build
        self.account = account
        self.rejections: OrderedDict[Content, Rejection] = OrderedDict()
        self.wake: dict[object, Callable[[], None]] = {}
        """How the client's streams are told that its client has changed, by stream."""
        self._fleet = fleet
        self._clock = clock
        self._expiry = expiry
        self._searches: dict[str, Bisection] = {}
        self._responses: set[tuple[str, str]] = set()

    def withheld(self, held: ResourceSet) -> frozenset[str]:
        """Names in *held* whose resources must not be sent to this client now."""
        names = self._fleet.withheld(self, held)
        if self.rejections:
            self._expire()
            own = (name for type_url, name, _ in self.rejections if type_url == held.type_url)
            names |= {n for n in own if n in held and content(held[n]) in self.rejections}
        if search := self._searches.get(held.type_url):
            names |= search.pending() & held.keys()
        return names

    def refuses(self, resource: Resource) -> bool:
        """True if this very content was rejected, by this client or by its like."""
        mine = content(resource) in self.rejections
        return mine or self._fleet.refuses(self.build, resource)

    def base(self, resource: Resource) -> Resource | None:
        """What others held before this resource, for a client that holds nothing."""
        own = self.rejections.get(content(resource))
        return (own.before if own else None) or self._fleet.base(self.build, resource)

    def intersection(
        self, vocabulary: Vocabulary, before: Resource, after: Resource
    ) -> Resource | None:
        """What both let through; it is worked out once for all clients."""
        return self._fleet.intersection(vocabulary, before, after)

    def response_rejected(self, type_url: str, version: str) -> bool:
        """True if a whole response of that version was rejected."""
        return (type_url, version) in self._responses and not self._searches.get(type_url)

    def distrusts(self, type_url: str) -> bool:
        """True if something of that type was rejected: the client may hold a part of a version."""
        return any(rejected == type_url for rejected, _ in self._responses)

    def accepted(self, type_url: str, resources: Mapping[str, Resource]) -> None:
        """The client accepted these, which it had not held before."""
        if search := self._searches.get(type_url):
            search.accepted(resources)
        self._fleet.accepted(self, resources)

    def rejected(
        self,
        type_url: str,
        version: str,
        new: Mapping[str, Resource],
        before: Mapping[str, Resource],
        text: str,
    ) -> tuple[str, ...]:
        """The client rejected a response in which *new* was what it had not accepted before.

        Gives the names that are known to be bad; none while they are still searched for.
        """
        if len(self._responses) >= LIMIT:
            self._responses.clear()
        self._responses.add((type_url, version))
        search = self._searches.setdefault(type_url, Bisection())
        bad = search.rejected(new, text)
        for name in bad:
            resource = new.get(name)
            if resource is not None:
                held = before.get(name)
                known = held if held is not None and held.packed else None
                said = shorten(text, LONGEST_TEXT)
                found = Rejection(self.node_id, resource, known, said, self._clock())
                self.rejections[found.content] = found
                self._fleet.rejected(self, found)
        while len(self.rejections) > LIMIT:
            self.rejections.popitem(last=False)
        return bad

    @property
    def worth_keeping(self) -> bool:
        """True if the client must be known again when it comes back."""
        return bool(self.wake or self.rejections or self._responses)

    def next_half(self, type_url: str) -> bool:
        """Nothing of that type is under way: go on to the next trial; False if there is none."""
        search = self._searches.get(type_url)
        return bool(search) and search is not None and search.next_half()

    def nudge(self) -> None:
        """Have the client's streams look at their snapshot again."""
        for wake in tuple(self.wake.values()):
            wake()

    def _expire(self) -> None:
        too_old = self._clock() - self._expiry
        while self.rejections:
            oldest = next(iter(self.rejections.values()))
            if oldest.at > too_old:
                return
            del self.rejections[oldest.content]


def content(resource: Resource) -> Content:
    """What tells this content of this resource from all others."""
    return resource.type_url, resource.name, resource.version
