"""Publications: a snapshot for streams that are to hold the same, and what is new in it for each.

All that may take long is worked out before the first stream is told.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from towpath.hub.comparison import Comparisons
from towpath.hub.compose import assignments
from towpath.hub.queries import Queries
from towpath.hub.stream import Stream
from towpath.hub.subscriptions import Subscriptions
from towpath.model.snapshot import Snapshot
from towpath.rollout.changes import Change
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class Publication:
    """The snapshot, the streams that it is for, and what is new in it for clients of a build."""

    snapshot: Snapshot
    streams: tuple[Stream, ...]
    news: tuple[tuple[ClientBuild, tuple[Change, ...]], ...]

    def announce(self, quarantine: Quarantine) -> None:
        """Have what is new tried on a few first."""
        for build, changes in self.news:
            quarantine.changed(build, changes)


class Publications:
    """Makes publications of what *queries* compose, compared with what streams had before."""

    def __init__(
        self, queries: Queries, subscriptions: Subscriptions, comparisons: Comparisons
    ) -> None:
        self._queries = queries
        self._subscriptions = subscriptions
        self._comparisons = comparisons

    def of(self, snapshot: Snapshot, streams: Iterable[Stream]) -> Publication:
        """The snapshot for those of *streams* that were not offered just this."""
        self._put_endpoints(snapshot.destinations)
        concerned = tuple(one for one in streams if one.offered is not snapshot)
        before = {(one.build, id(one.offered)): one.offered for one in concerned if one.offered}
        news = (
            (build, self._comparisons.between(old, snapshot)) for (build, _), old in before.items()
        )
        return Publication(snapshot, concerned, tuple(pair for pair in news if pair[1]))

    def _put_endpoints(self, destinations: Hashable) -> None:
        if not self._subscriptions.in_use(destinations):
            endpoints = self._queries.get(assignments, destinations)
            self._subscriptions.put(destinations, endpoints)
