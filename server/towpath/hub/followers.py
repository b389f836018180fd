"""Followers: who waits for which answer, and what is kept for a while after they left."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Set

from towpath.hub.queries import Query
from towpath.hub.stream import Stream
from towpath.hub.watch import Watch

REMEMBERED_SECONDS = 60.0
"""For how long what a sidecar was to hold is remembered after its last stream has ended."""

REMEMBERED_LEFT = 1000
"""For how many such sidecars."""


class Followers:
    """Streams and watches by the query that says in which group their sidecar is, and these queries
    by the group that was the answer.

    *clock* is monotonic, in seconds; *forget* is told of a query that nobody follows any more, and
    *forget_group* of a group in which nobody is.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        forget: Callable[[Query], None],
        forget_group: Callable[[Hashable], None],
    ) -> None:
        self._clock = clock
        self._forget = forget
        self._forget_group = forget_group
        self._streams: dict[Query, set[Stream]] = {}
        self._watches: dict[Query, set[Watch]] = {}
        self._left: OrderedDict[Query, float] = OrderedDict()  # when the last stream ended
        self._groups: dict[Query, Hashable] = {}
        self._members: dict[Hashable, dict[Query, None]] = {}

    def add(self, query: Query, stream: Stream) -> None:
        self._streams.setdefault(query, set()).add(stream)

    def remove(self, query: Query, stream: Stream) -> bool:
        """Its stream has ended, and may come back; gives whether it was the query's last."""
        streams = self._streams.get(query, set())
        streams.discard(stream)
        if streams:
            return False
        self._streams.pop(query, None)
        if stream.admitted:
            self._left[query] = self._clock()
            self._left.move_to_end(query)
        self.forget_left()
        self.forget_unused(query)
        return True

    def add_watch(self, query: Query, watch: Watch) -> None:
        self._watches.setdefault(query, set()).add(watch)

    def remove_watch(self, query: Query, watch: Watch) -> None:
        """Nobody who looks on comes back."""
        watches = self._watches.get(query, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(query, None)
            self.forget_unused(query)

    def place(self, query: Query, group: Hashable) -> None:
        """Say in which group the query's sidecar is now; None: it is not there."""
        before = self._groups.get(query)
        if before == group:
            return
        if before is not None:
            self._displace(query, before)
        if group is not None:
            self._groups[query] = group
            self._members.setdefault(group, {})[query] = None

    def __bool__(self) -> bool:
        """True if anything is followed, or kept for those who may come back."""
        return bool(self._streams or self._watches or self._left)

    def queries(self) -> Set[Query]:
        """All that is followed."""
        return self._streams.keys() | self._watches.keys()

    def among(self, queries: Iterable[Query]) -> list[Query]:
        """Those of *queries* that are followed."""
        return [query for query in queries if query in self._streams or query in self._watches]

    def groups_among(self, groups: Iterable[Hashable]) -> list[Hashable]:
        """Those of *groups* in which somebody is, or was until just now."""
        return [group for group in groups if group in self._members]

    def members(self, group: Hashable) -> tuple[Query, ...]:
        """All that are in that group."""
        return tuple(self._members.get(group, ()))

    def streams_of(self, query: Query) -> tuple[Stream, ...]:
        return tuple(self._streams.get(query, ()))

    def watches_of(self, query: Query) -> tuple[Watch, ...]:
        return tuple(self._watches.get(query, ()))

    def streams(self) -> Iterator[Stream]:
        """All that are open."""
        return (stream for streams in self._streams.values() for stream in streams)

    def watches(self) -> tuple[Watch, ...]:
        """All who look on."""
        return tuple(watch for watches in self._watches.values() for watch in watches)

    def forget_unused(self, query: Query) -> None:
        """Whoever asks of any name leaves no trace."""
        used = (self._streams, self._watches, self._left)
        if not any(query in kept for kept in used):
            self._forget(query)
            if query in self._groups:
                self._displace(query, self._groups[query])

    def forget_empty(self, group: Hashable) -> None:
        """Whoever asks what a group is to hold leaves no trace, if nobody is in it."""
        if group not in self._members:
            self._forget_group(group)

    @property
    def next_at(self) -> float:
        """When `forget_left` has something to forget; infinite: there is nothing."""
        return next(iter(self._left.values()), math.inf) + REMEMBERED_SECONDS

    def forget_left(self) -> None:
        """Forget what was made for sidecars that have not come back."""
        too_old = self._clock() - REMEMBERED_SECONDS
        while self._left and (
            len(self._left) > REMEMBERED_LEFT or next(iter(self._left.values())) <= too_old
        ):
            query, _ = self._left.popitem(last=False)
            self.forget_unused(query)

    def _displace(self, query: Query, group: Hashable) -> None:
        """The query's sidecar is in that group no more."""
        del self._groups[query]
        members = self._members[group]
        del members[query]
        if not members:
            del self._members[group]
            self._forget_group(group)
