"""Subscriptions: whose endpoints each stream's snapshot is completed with, and who asks for which.

Endpoints come and go all the time. They are apart from snapshots, so that a change of one touches
those streams alone that ask for it: the others take the newest when something else moves them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from towpath.model.snapshot import ResourceSet, Snapshot

if TYPE_CHECKING:
    from towpath.hub.stream import Stream

MOST_NARROW = 64
"""A stream that asks for more names than this is looked at with each change of endpoints."""

MOST_OLD = 64
"""How many sets of endpoints may be kept by streams that have not taken a newer one."""

CAUGHT_UP = 32
"""If there are more, one in so many streams is woken with each change, in turn; two at least."""


MOST_UNUSED = 8
"""How many destinations are kept of which no stream's snapshot is: one may come back soon."""


class Subscriptions:
    """All streams by the endpoints that they ask for; *forget* is told of destinations of which
    nothing is kept any more.
    """

    def __init__(self, *, forget: Callable[[Hashable], None]) -> None:
        self._forget = forget
        self._streams: OrderedDict[Stream, frozenset[str] | None] = OrderedDict()
        self._narrow: dict[str, set[Stream]] = {}
        self._broad: set[Stream] = set()
        self._endpoints: dict[Hashable, ResourceSet] = {}
        self._users: Counter[Hashable] = Counter()
        self._unused: OrderedDict[Hashable, None] = OrderedDict()
        self._alive: WeakValueDictionary[int, ResourceSet] = WeakValueDictionary()
        self.revision = 0
        """How often endpoints have come that may be new to a stream."""

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the endpoints that it is to have now."""
        endpoints = self._endpoints.get(snapshot.destinations)
        return snapshot if endpoints is None else snapshot.with_endpoints(endpoints)

    def put(self, destinations: Hashable, endpoints: ResourceSet) -> list[Stream]:
        """Take the present endpoints of these destinations; gives the streams that are to look."""
        before = self._endpoints.get(destinations)
        if before is endpoints:
            return []
        self._endpoints[destinations] = endpoints
        self.revision += 1
        self._alive[id(endpoints)] = endpoints
        if before is None:
            return []
        names = endpoints.changed_since(before)
        streams = {stream for name in names for stream in self._narrow.get(name, ())}
        streams |= {one for one in self._broad if not names.isdisjoint(self._names_of(one, names))}
        return [
            stream
            for stream in (*streams, *self._left_behind())
            if stream.destinations == destinations
        ]

    def subscribe(self, stream: Stream, names: frozenset[str] | None) -> None:
        """The stream asks for these endpoints now; None: for all there are."""
        before = self._streams.get(stream, frozenset())
        if stream in self._streams and names is before:
            return
        self._index(stream, before, add=False)
        self._streams[stream] = names
        self._index(stream, names, add=True)

    def move(self, before: Hashable, after: Hashable) -> None:
        """A stream's snapshot has other destinations; None: there is none."""
        if before is after:
            return
        if after is not None:
            self._users[after] += 1
            self._unused.pop(after, None)
        if before is not None:
            self._users[before] -= 1
            self.keep_unused(before)

    def in_use(self, destinations: Hashable) -> bool:
        """True if some stream's snapshot has these, or there are none to be had: for all others
        the present ones have to be put first.
        """
        return destinations is None or destinations in self._users

    def used(self, among: Collection[Hashable] | None) -> list[Hashable]:
        """Those that some stream's snapshot has: of *among*; None: all."""
        return [one for one in (self._users if among is None else among) if one in self._users]

    def keep_unused(self, destinations: Hashable) -> None:
        """If no stream's snapshot has these, keep them for a while."""
        if self._users[destinations]:
            return
        del self._users[destinations]
        self._unused[destinations] = None
        self._unused.move_to_end(destinations)
        if len(self._unused) > MOST_UNUSED:
            self._forget_oldest()

    def forget_unused(self) -> None:
        """Nobody comes back: keep only what streams' snapshots have."""
        while self._unused:
            self._forget_oldest()

    def remove(self, stream: Stream) -> None:
        """The stream has ended."""
        self._index(stream, self._streams.pop(stream, frozenset()), add=False)

    def _forget_oldest(self) -> None:
        oldest, _ = self._unused.popitem(last=False)
        self._endpoints.pop(oldest, None)
        self._forget(oldest)

    def _index(self, stream: Stream, names: frozenset[str] | None, *, add: bool) -> None:
        if names is None or len(names) > MOST_NARROW:
            (self._broad.add if add else self._broad.discard)(stream)
            return
        for name in names:
            if add:
                self._narrow.setdefault(name, set()).add(stream)
                continue
            self._narrow[name].discard(stream)
            if not self._narrow[name]:
                del self._narrow[name]

    def _names_of(self, stream: Stream, everything: frozenset[str]) -> frozenset[str]:
        names = self._streams[stream]
        return everything if names is None else names

    def _left_behind(self) -> Iterator[Stream]:
        """Some streams that may keep old endpoints, if too many of these are kept."""
        if len(self._alive) <= MOST_OLD:
            return
        for _ in range(len(self._streams) // CAUGHT_UP + 2):
            stream = next(iter(self._streams))
            self._streams.move_to_end(stream)
            yield stream
