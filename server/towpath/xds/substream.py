"""One type on one stream: what the two variants of the protocol have in common.

Types are independent of each other (XP, «ACK/NACK and resource type instance version»): a substream
knows its own subscription, responses and answers. The order between types is the `Session`'s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from copy import copy
from typing import Generic, Self, TypeVar

from towpath.model.snapshot import Resource, ResourceSet
from towpath.model.text import without_keys
from towpath.model.types import CLUSTER, LISTENER, SECRET, SIDECAR
from towpath.rollout.records import Holding
from towpath.xds.holdings import Holdings
from towpath.xds.messages import Ack, Event, Nack, Reply, Request
from towpath.xds.subscription import Subscription
from towpath.xds.unanswered import Sent, Unanswered
from towpath.xds.view import View
from towpath.xds.wire import Composer

FULL_STATE = frozenset({CLUSTER, LISTENER, SIDECAR})
"""Types for which listing nothing at all means everything (XP, «How the client specifies what
resources to return»), and whose resources, in the state of the world, are deleted by leaving them
out (XP, «Deleting resources»).
"""

FOLDED = frozenset({SIDECAR})
"""Types whose clients apply only the newest of the responses that have come, and answer all of
them alike: nothing is learnt of content that a later response has overtaken.
"""

Rest = tuple[ResourceSet, int]
"""A type's resources, and a client's revision of the type: see `Substream.rest`."""

R = TypeVar("R", bound=Request)


def never() -> bool:
    """Nothing is kept that is gone."""
    return False


class Substream(ABC, Generic[R]):
    """What a client asks for of one type, what it was sent, and what it said of that.

    `begin` takes the first request, `on_request` each later one; both only note it, and `push`,
    `narrow` and `revoke` give the response that is due, if one is. *nonce()* gives a new one,
    unique over the stream, so that no type's nonce is ever taken for another's.
    """

    def __init__(
        self,
        type_url: str,
        view: View,
        *,
        composer: Composer,
        nonce: Callable[[], str],
        most_unanswered: int,
    ) -> None:
        self.type_url = type_url
        self.subscription = Subscription()
        self.resources = Holdings(ResourceSet(type_url))
        """As last sent, or as the client says that it holds them from before this stream."""
        self.returned = False
        """True if the client says that it holds resources from before this stream."""
        self.brought: Sequence[tuple[str, str]] = ()
        """Names and versions that the client brought, and that were not looked at yet."""
        self.keeps = False
        """True if the last push left resources with the client that are gone."""
        self.rest: Rest | None = None
        """Set while nothing is to be sent of this type, nothing is kept back and nothing left for
        later: as of which resources, and which of the client's revisions of the type. What ends
        the rest is that `View.sets` has others, that the revision is another, or that the
        substream resets it with each change of its own: what is asked for, owed, or held. The
        `Session` compares, and leaves alone what rests.
        """
        self._view = view
        self._composer = composer
        self._nonce = nonce
        self._unanswered = Unanswered(most_unanswered)
        self._looked_up = (ResourceSet(type_url), frozenset[str](), frozenset[str]())
        self._owed: Set[str] = frozenset()  # names to be sent, or answered, though unchanged

    @abstractmethod
    def begin(self, request: R, *, leading: Set[str]) -> None:
        """Take the first request; what has a name in *leading* was sent for this type to follow."""

    @abstractmethod
    def on_request(self, request: R) -> list[Event]:
        """Take a request: what was learnt from it."""

    @abstractmethod
    def overtaken(self, request: R) -> bool:
        """True if the client will say by a later request what it wants."""

    def fork(self, view: View) -> Self:
        """Another one in the same state, which sees *view*."""
        other = copy(self)
        other.part(view)
        return other

    def part(self, view: View) -> None:
        """Share nothing that changes with the one that this is a copy of."""
        self._view = view
        self._unanswered = self._unanswered.fork()

    def signature(self) -> Hashable | None:
        """Equal for those that do the same from here on; None if that cannot be told: while the
        client was not sent all that it is to hold, or holds what is not known in full.
        """
        target, resources = self._view.sets.get(self.type_url), self.resources
        differ = self.brought or self.keeps or self._owed or self._unanswered.responses
        if differ or resources.base is not target:
            return None
        if resources.own and not all(one.packed for one in resources.own.values() if one):
            return None
        limited = resources.limited_to == self.subscription.names
        if not limited and resources.limited_to is not None:
            return None
        own = frozenset(resources.own.items())
        return self.type_url, self.subscription, limited, own, self.returned

    @property
    def holds_just_its_target(self) -> bool:
        """True if here is nothing of a resource that is not one of its target's."""
        resources = self.resources
        if resources.own or self._unanswered.responses:
            return False
        return resources.base is self._view.sets.get(self.type_url)

    @property
    def latest_nonce(self) -> str:
        """Of the latest response, if it says something after that was answered."""
        return ""

    @property
    def waits_for_answer(self) -> bool:
        """True if the client was sent a response that it has not answered, and will."""
        return bool(self._unanswered.responses)

    @property
    @abstractmethod
    def asks(self) -> bool:
        """True if the client has asked for something and waits for it."""

    @property
    @abstractmethod
    def outdated(self) -> bool:
        """True if the client is to be sent something."""

    def look(self) -> None:
        """What may be sent to the client may have changed, but for the answers to this type."""

    @property
    def has_more(self) -> bool:
        """True if there is something that was left for later, and may be looked at now."""
        return False

    def look_at_more(self) -> None:
        """Look at some of what was left for later."""

    @abstractmethod
    def revoke(self) -> Reply | None:
        """Take back what is gone, where leaving it out would leave it in force."""

    @abstractmethod
    def narrow(self) -> Reply | None:
        """Leave of what the client holds only what the snapshot lets through too."""

    @abstractmethod
    def push(self, *, keep: Callable[[], bool] = never, owed_only: bool = False) -> Reply | None:
        """Send what the client is to hold and does not; take nothing from it as long as *keep()*;
        with *owed_only*, of a type that is not full state, only what it has just asked for.
        """

    @abstractmethod
    def follow(self, names: Set[str]) -> None:
        """Send what has these names again, though unchanged, behind what it belongs to."""

    @abstractmethod
    def holding(self) -> Holding:
        """What is known of each resource."""

    def pairs(self, target: ResourceSet) -> Iterator[tuple[Resource, Resource]]:
        """What the client may hold of what is another in *target*, and that: what a step may have
        to compare.
        """
        for name in self.resources.differing(target):
            after = target.find(name)
            if after is None:
                continue
            before = self.resources.find(name)
            if before is None or not before.packed:
                before = self._view.client.base(after)
            if before is not None and before != after:
                yield before, after
        for sent in self._unanswered:
            for name, before in sent.before.items():
                # If it rejects that response.
                after = target.find(name)
                if before.packed and after is not None and before != after:
                    yield before, after

    def accepted(self, name: str) -> Resource | None:
        """What the client has accepted under that name, as far as its answers say."""
        for sent in self._unanswered:
            if name in sent.new:
                return sent.before.get(name)
        return self.resources.find(name)

    def _missing(self) -> frozenset[str]:
        """Names that are asked for and are not there; looked up once, as there may be thousands."""
        target, names = self._view.sets[self.type_url], self.subscription.names
        if self._looked_up[0] is not target or self._looked_up[1] is not names:
            self._looked_up = (target, names, target.missing(names))
        return self._looked_up[2]

    def _holding(self, pending: Iterable[str]) -> Holding:
        versions = {name: resource.version for name, resource in self.resources.items()}
        subscription = self.subscription
        return Holding(subscription.names, subscription.wildcard, versions, frozenset(pending))

    def _acknowledged(self, sent: Sent) -> Ack:
        if not sent.untried:
            self._view.accept(self.type_url, sent.new)
        return Ack(self.type_url, sent.version, frozenset(sent.new.keys() - sent.before.keys()))

    def _rejected(self, sent: Sent, text: str) -> tuple[Nack, Iterable[str], frozenset[str]]:
        """Remember what a NACK speaks of: with no names while they are still searched for; and the
        names of which the client may not have taken what was new, and those that it is to be sent
        again as it accepted them last.

        A bad one keeps Envoy from applying those beside it, but for listeners and clusters. With
        secrets Envoy goes on with what it accepted last, but has the rejected one at hand, and
        until it is given another rejects every listener and cluster that would use it. What it
        says of a secret may quote it.
        """
        secret = self.type_url == SECRET
        text = without_keys(text) if secret else text
        names: tuple[str, ...] = ()
        if not sent.untried:
            names = self._view.client.rejected(self.type_url, sent.new, sent.before, text)
        nack = Nack(type_url=self.type_url, version=sent.version, message=text, names=names)
        lost = names if names and self.type_url in FULL_STATE else tuple(sent.new)
        accepted = [n for n in names if n in sent.before and sent.before[n].packed]
        return nack, lost, frozenset(accepted if secret else ())
