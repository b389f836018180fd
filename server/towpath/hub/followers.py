"""Followers: who waits for which answer, and what is kept for a while after they left."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Set

from towpath.hub.queries import Query
from towpath.hub.stream import Stream
from towpath.hub.watch import Watch

REMEMBERED_SECONDS = 60.0
"""For how long what a sidecar was to hold is remembered after its last stream has ended."""

REMEMBERED_LEFT = 1000
"""For how many such sidecars."""


class Followers:
    """Streams and watches by the query whose answer they follow.

    *clock* is monotonic, in seconds; *forget* is told of a query that nobody follows any more.
    """

    def __init__(self, *, clock: Callable[[], float], forget: Callable[[Query], None]) -> None:
        self._clock = clock
        self._forget = forget
        self._streams: dict[Query, set[Stream]] = {}
        self._watches: dict[Query, set[Watch]] = {}
        self._left: OrderedDict[Query, float] = OrderedDict()  # when the last stream ended

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

    def __bool__(self) -> bool:
        """True if anything is followed, or kept for those who may come back."""
        return bool(self._streams or self._watches or self._left)

    def queries(self) -> Set[Query]:
        """All that is followed."""
        return self._streams.keys() | self._watches.keys()

    def among(self, queries: Iterable[Query]) -> list[Query]:
        """Those of *queries* that are followed."""
        return [query for query in queries if query in self._streams or query in self._watches]

    def streams_of(self, query: Query) -> tuple[Stream, ...]:
        return tuple(self._streams.get(query, ()))

    def of(self, query: Query) -> tuple[tuple[Stream, ...], tuple[Watch, ...]]:
        """All that follow the query."""
        return self.streams_of(query), tuple(self._watches.get(query, ()))

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
