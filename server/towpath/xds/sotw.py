"""State of the world: each request restates what the client wants, and it answers only the latest
response (XP, «Four variants»).

What a response holds depends on the type: see `FullState` and `Partial`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Set

from towpath.model.snapshot import Resource, content_hash
from towpath.rollout.records import Holding
from towpath.xds.absence import MOST_TOLD, Fault
from towpath.xds.holdings import Holdings
from towpath.xds.messages import Event, Nack, Reply, SotwRequest
from towpath.xds.substream import FOLDED, FULL_STATE, Substream
from towpath.xds.unanswered import MOST_UNANSWERED, Sent
from towpath.xds.view import View
from towpath.xds.wire import Composer


class SotwSubstream(Substream[SotwRequest]):
    """One type on a stream of the state of the world."""

    def __init__(
        self, type_url: str, view: View, *, composer: Composer, nonce: Callable[[], str]
    ) -> None:
        most = MOST_UNANSWERED + 1  # the latest besides
        super().__init__(type_url, view, composer=composer, nonce=nonce, most_unanswered=most)
        self._owed: frozenset[str] = frozenset()
        self._latest_nonce = ""
        self._version = ""  # of the latest response, or what the client says it holds
        self._doubtful = False  # the client may have taken a part of what it rejected
        self._reported: frozenset[str] = frozenset()  # names it was told to be absent, and why
        self._brought: frozenset[str] = frozenset()  # names it may hold from before this stream
        self._unknown = False  # what it holds from before, under names that it did not accept yet

    def begin(self, request: SotwRequest, *, leading: Set[str]) -> None:
        del leading  # each name is new, and sent anyhow
        self._change_subscription(request)
        if request.version:
            self.returned = True
            self._brought = self.subscription.names
            self._recall(request.version)
        self._unknown = self.returned or self._view.client.distrusts(self.type_url)

    def on_request(self, request: SotwRequest) -> list[Event]:
        events: list[Event] = []
        if self.overtaken(request):
            # A name dropped here and added again by the answer to the latest must be known to be
            # new, so the subscription changes all the same.
            events = self._take_late_answer(request)
        elif request.nonce:
            events = self._take_answer(request)
        elif self._latest_nonce and not request.version:
            # The first request of a client that had lost all interest, and did not say so.
            self.subscription = self.subscription.forgotten()
            self._version, self._reported, self.rest = "", frozenset(), None
        self._change_subscription(request)
        return events

    def overtaken(self, request: SotwRequest) -> bool:
        """A newer response overtook the one that is answered: the client will answer that in turn
        (XP, «Resource updates»).
        """
        return bool(self._latest_nonce and request.nonce) and request.nonce != self._latest_nonce

    def signature(self) -> Hashable | None:
        same = super().signature()
        if same is None or self._doubtful:
            return None
        news = self._reported, self._brought, self._unknown
        return same, bool(self._latest_nonce), self._version, *news

    @property
    def latest_nonce(self) -> str:
        return self._latest_nonce

    @property
    def waits_for_answer(self) -> bool:
        """Who asks for nothing any more has nothing to answer."""
        return super().waits_for_answer and not self.subscription.empty

    @property
    def asks(self) -> bool:
        return not (self._latest_nonce or self._version) or bool(self._owed)

    def follow(self, names: Set[str]) -> None:
        owed = self.subscription.names & names
        if owed:
            self._owed, self.rest = self._owed | owed, None

    def holding(self) -> Holding:
        latest = self._unanswered.latest
        return self._holding(latest.new if latest else ())

    @abstractmethod
    def _recall(self, version: str) -> None:
        """The client says it holds *version* from before."""

    @abstractmethod
    def _absent(self) -> frozenset[str]:
        """Names that are asked for, are not there, and have nothing progress in for them."""

    def _take_answer(self, request: SotwRequest) -> list[Event]:
        """What the client says of the latest response; error_detail, and nothing else, makes it
        a rejection (XP, «ACK/NACK»).
        """
        sent = self._unanswered.pop(request.nonce)
        self._unanswered.clear()
        if sent is None:
            # The same answer again is how Envoy asks for the endpoints of a cluster that it warms
            # anew; those have been sent behind the cluster already.
            return []
        if request.error is None:
            self._unknown = False
            return [self._acknowledged(sent)]
        return [self._take_rejection(sent, request.error)]

    def _take_late_answer(self, request: SotwRequest) -> list[Event]:
        """An answer to what was overtaken settles nothing, but says what the client holds."""
        sent = self._unanswered.pop(request.nonce)
        if sent is None:
            return []
        if request.error is not None:
            return [self._take_rejection(sent, request.error)]
        if not sent.untried:
            self._view.accept(self.type_url, sent.new)
        for other in self._unanswered:
            other.confirm(sent)
        return []

    def _take_rejection(self, sent: Sent, text: str) -> Nack:
        nack, names, restored = self._rejected(sent, text)
        if sent.untried:
            return nack
        lost = {name for name in names if self.resources.find(name) == sent.new[name]}
        if lost:
            unknown = self._unknown and any(name not in sent.before for name in lost)
            self._doubtful = sent.unsure or unknown or not nack.names
            before = {name: sent.before.get(name) for name in lost}
            self._fall_back(self.resources.changed(before))
            self._owed |= restored
        return nack

    def _fall_back(self, resources: Holdings) -> None:
        """The client did not take the last response, and holds *resources*."""
        self.resources, self.rest = resources, None

    def _change_subscription(self, request: SotwRequest) -> None:
        legacy_wildcard = self.type_url in FULL_STATE
        before = self.subscription
        after = before.restated(request.names, legacy_wildcard=legacy_wildcard)
        if after is before:
            return
        self.rest = None
        if after.wildcard:
            self.resources = self.resources.unlimited()
        else:
            # Also what only the wildcard had covered: the client may forget what it does not want.
            count = len(self.resources)
            self.resources = self.resources.limited(after.names)
            if len(self.resources) < count:
                self._version = ""
        if after.wildcard and not before.wildcard:
            self._version = ""  # what is asked for anew is sent anew: XP, «Subscribing»
        # A name that is new is always sent, even if it had been sent before: XP, «Subscribing».
        self._owed = (self._owed | (after.names - before.names)) & after.names
        self._brought &= after.names
        self.subscription = after

    def _faults(self, due: Set[str] = frozenset()) -> tuple[Fault, ...]:
        """What the client must be told anew of names that are not there, nor stood in for by what
        is *due*.
        """
        if not self._view.absence.faults:
            return ()
        absent = self._absent() - due
        news = sorted(absent - self._reported)[:MOST_TOLD]
        self._reported = (self._reported & absent).union(news)
        return self._view.faults(self.type_url, news)

    def _has_news_of_absence(self) -> bool:
        return self._view.absence.faults and bool(self._absent() - self._reported)

    def _given(self, resource: Resource, blocked: frozenset[str]) -> Resource | None:
        """The resource, or what stands in for it if it is *blocked*."""
        if resource.name not in blocked:
            return resource
        return self._view.stand_in(self.resources.find(resource.name), resource)

    def _reply(
        self, resources: Mapping[str, Resource], sent: Sent, faults: tuple[Fault, ...]
    ) -> Reply:
        fresh = frozenset(sent.new)
        self._view.enrol(sent.new.values())
        for earlier in reversed(self._unanswered.responses.values()):
            # The latest first: what that had taken the place of may not be there either.
            sent.rest_on(earlier, resources)
        if latest := self._unanswered.latest:
            latest.untried = self.type_url in FOLDED
        self._latest_nonce, self._version, self._doubtful = self._nonce(), sent.version, False
        self._unanswered.add(self._latest_nonce, sent)
        whole = self.type_url in FULL_STATE
        body = self._composer.sotw(
            self.type_url, sent.version, resources, whole=whole, faults=faults
        )
        names = resources.all_names if isinstance(resources, Holdings) else tuple(resources)
        return Reply(self.type_url, sent.version, self._latest_nonce, names, body, fresh)

    def _begin_rest(self) -> None:
        """The client was sent what it is to hold, and nothing is left for later."""
        target = self._view.sets[self.type_url]
        if not self._latest_nonce or self._owed or self._doubtful:
            return
        if not (self._view.blocked(self.type_url) or self._has_news_of_absence()):
            self.rest = target, self._view.client.revisions[self.type_url]

    def _version_of(self, resources: Holdings) -> str:
        """Changes with what this client sees, and only then (XP, «Resource updates»)."""
        target = self._view.sets[self.type_url]
        if resources.is_all_of(target):
            return target.version
        if len(resources) == len(target) and not resources.over(target).own:
            return target.version
        parts = (f"{name}\0{one.version}".encode() for name, one in sorted(resources.items()))
        return content_hash(self.type_url.encode(), *parts)
