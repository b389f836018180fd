"""Listeners and clusters in the state of the world: each response holds all that the client is to
hold, and what it leaves out is deleted (XP, «Deleting resources»).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from towpath.model.snapshot import Resource
from towpath.xds.holdings import Holdings
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
        target = self._view.sets[self.type_url]
        changes: dict[str, Resource | None] = {}
        for name in self.resources.differing(target):
            before, after = self.resources.find(name), target.find(name)
            if before is not None and before != after:
                changes[name] = after and self._view.stand_in(before, after)
        narrowed = self.resources.changed(changes | self._left())
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
        reply = None if version is None else self._reply_all(visible, version)
        if not gone and self.resources == visible:
            self.resources = visible
            self._begin_rest()
        return reply

    def _recall(self, version: str) -> None:
        """If the client holds just this, nothing needs to be said."""
        everything = self.subscription.wildcard and not self.subscription.names
        if not everything or self._view.client.distrusts(self.type_url):
            return
        target = self._view.sets[self.type_url]
        recalled = self._composer.recall(self.type_url, version)
        if version == target.version:
            self._version, self.resources = version, Holdings(target)
        elif recalled is not None:
            self._version, self.resources = version, Holdings.of(self.type_url, dict(recalled))

    def _fall_back(self, resources: Holdings) -> None:
        super()._fall_back(resources)
        self._version = self._version_of(resources)

    def _gone(self) -> dict[str, Resource]:
        """What the client holds and asks for, and is gone: of what it may not hold, after it has
        rejected a later response, no bytes are there to be sent.
        """
        target, gone = self._view.sets[self.type_url], dict[str, Resource]()
        for name in self.resources.differing(target):
            resource = self.resources.find(name)
            if resource is None or not resource.packed or name in target:
                continue
            if self.subscription.wants(name):
                gone[name] = resource
        return gone

    def _visible(self, kept: Mapping[str, Resource]) -> Holdings:
        """All that the client is to hold; *kept* of what is gone."""
        target, subscription = self._view.sets[self.type_url], self.subscription
        blocked = self._view.blocked(self.type_url)
        own: dict[str, Resource | None] = {
            name: self._given(target[name], blocked) for name in blocked if subscription.wants(name)
        }
        own |= kept
        own |= self._left()
        return Holdings(target, None if subscription.wildcard else subscription.names, own)

    def _left(self) -> dict[str, Resource]:
        """What the client is to hold of names that are gone."""
        gone = self._missing()
        left: dict[str, Resource] = {}
        for name in sorted(self.resources.among(gone) | (gone & self._brought)):
            before = self.resources.find(name)
            after = self._view.unless_refused(self._view.left(before, self.type_url, name))
            if after is not None:
                left[name] = after
        return left

    def _due(self, visible: Holdings) -> str | None:
        """The version of the response that is due; None if none is."""
        if self.subscription.empty:
            return None  # nobody would answer it
        if not (self._differs(visible) or self._has_news_of_absence()):
            return None
        return self._version_of(visible)

    def _differs(self, visible: Holdings) -> bool:
        if visible.among(self._owed):
            return True
        if self._latest_nonce and self._view.client.distrusts(self.type_url):
            # What stands in for rejected content may be what the client holds anyhow.
            return self._doubtful or visible != self.resources
        if self._latest_nonce and self._version:
            # All that there is has another version than the same by its names.
            return visible != self.resources
        return self._version_of(visible) != self._version

    def _absent(self) -> frozenset[str]:
        return self._missing().difference(self._left())

    def _reply_all(self, visible: Holdings, version: str) -> Reply:
        changed = visible.changed_since(self.resources)
        sent = Sent.of(version, changed, visible, self.resources)
        self.resources = visible.over(self._view.sets[self.type_url])
        self._owed = frozenset()
        return self._reply(visible, sent, self._faults())
