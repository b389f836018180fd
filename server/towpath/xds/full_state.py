"""Listeners and clusters in the state of the world: each response holds all that the client is to
hold, and what it leaves out is deleted (XP, «Deleting resources»).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from towpath.model.snapshot import Resource, ResourceSet
from towpath.xds.messages import Reply
from towpath.xds.sotw import SotwSubstream
from towpath.xds.substream import never
from towpath.xds.unanswered import Sent


class FullState(SotwSubstream):
    """One type whose responses are whole."""

    @property
    def outdated(self) -> bool:
        return self._due(self._visible({})) is not None

    def revoke(self) -> Reply | None:
        """Leaving out is enough."""
        return None

    def narrow(self) -> Reply | None:
        if self.asks:
            return None  # it is given all of it anyhow
        target = self._view.of(self.type_url)
        narrowed = self._left()
        for name, before in self.resources.items():
            after = target.get(name)
            resource = after if after == before else after and self._view.stand_in(before, after)
            if resource is not None:
                narrowed[name] = resource
        if narrowed == self.resources:
            return None
        return self._reply_all(narrowed, self._version_of(narrowed))

    def push(self, *, keep: Callable[[], bool] = never, owed_only: bool = False) -> Reply | None:
        del owed_only  # what is asked for is not sent without the rest
        gone = self._gone()
        if gone and not keep():
            gone = {}
        self.keeps = bool(gone)
        visible = self._visible(gone)
        version = self._due(visible)
        return None if version is None else self._reply_all(visible, version)

    def _recall(self, version: str) -> None:
        """If the client holds just this, nothing needs to be said."""
        everything = self.subscription.wildcard and not self.subscription.names
        if not everything or self._view.client.distrusts(self.type_url):
            return
        target = self._view.of(self.type_url)
        recalled = self._composer.recall(self.type_url, version)
        if version == target.version:
            self._version, self.resources = version, target
        elif recalled is not None:
            self._version, self.resources = version, recalled

    def _fall_back(self, resources: Mapping[str, Resource]) -> None:
        super()._fall_back(resources)
        self._version = self._version_of(resources)

    def _gone(self) -> dict[str, Resource]:
        """What the client holds and asks for, and is gone: of what it may not hold, after it has
        rejected a later response, no bytes are there to be sent.
        """
        target = self._view.of(self.type_url)
        if self.resources is target:
            return {}
        wants = self.subscription.wants
        candidates = ((n, r) for n, r in self.resources.items() if r.packed and wants(n))
        return {name: resource for name, resource in candidates if name not in target}

    def _visible(self, kept: Mapping[str, Resource]) -> Mapping[str, Resource]:
        """All that the client is to hold; *kept* of what is gone."""
        target = self._view.of(self.type_url)
        blocked = self._view.blocked(self.type_url)
        left = self._left()
        if self.subscription.wildcard and not (blocked or kept or left):
            return target
        subscription = self.subscription
        names = target if subscription.wildcard else subscription.names - self._missing()
        visible: dict[str, Resource] = {}
        for name in sorted(names):
            resource = self._given(target[name], blocked)
            if resource is not None:
                visible[name] = resource
        return visible | dict(kept) | left

    def _left(self) -> dict[str, Resource]:
        """What the client is to hold of names that are gone."""
        gone = self._missing()
        left: dict[str, Resource] = {}
        for name in sorted(self._held(gone) | (gone & self._brought)):
            before = self.resources.get(name)
            after = self._view.unless_refused(self._view.left(before, self.type_url, name))
            if after is not None:
                left[name] = after
        return left

    def _due(self, visible: Mapping[str, Resource]) -> str | None:
        """The version of the response that is due; None if none is."""
        if self.subscription.empty:
            return None  # nobody would answer it
        version = self._version_of(visible)
        if not (self._differs(visible, version) or self._has_news_of_absence()):
            return None
        rejected = self._view.client.response_rejected(self.type_url, version)
        return None if rejected else version

    def _differs(self, visible: Mapping[str, Resource], version: str) -> bool:
        if any(name in visible for name in self._owed):
            return True
        if self._latest_nonce and self._view.client.distrusts(self.type_url):
            # What stands in for rejected content may be what the client holds anyhow.
            return self._doubtful or not _same(visible, self.resources)
        if version == self._version:
            return False
        # All that there is has another version than the same by its names.
        return not (self._latest_nonce and self._version and _same(visible, self.resources))

    def _has_news_of_absence(self) -> bool:
        return self._view.absence.faults and bool(self._absent() - self._reported)

    def _absent(self) -> frozenset[str]:
        return self._missing().difference(self._left())

    def _reply_all(self, visible: Mapping[str, Resource], version: str) -> Reply:
        sent = Sent.of(version, _changed(visible, self.resources), visible, self.resources)
        self.resources = visible
        self._owed = frozenset()
        return self._reply(visible, sent, self._faults())


def _same(one: Mapping[str, Resource], other: Mapping[str, Resource]) -> bool:
    """True if the contents are equal; those of two sets are when their versions are."""
    if isinstance(one, ResourceSet) and isinstance(other, ResourceSet):
        return one.version == other.version
    return len(one) == len(other) and all(other.get(n) == r for n, r in one.items())


def _changed(after: Mapping[str, Resource], before: Mapping[str, Resource]) -> Iterable[str]:
    """Names of which something may be new in *after*."""
    if isinstance(after, ResourceSet) and isinstance(before, ResourceSet):
        return after.changed_since(before)
    return after
