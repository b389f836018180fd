"""Comparison: what is new in a snapshot, and whether it only narrows what was there before.

To see that, both versions of a resource are read, which takes long for large ones. So it is
worked out before anything is changed, once for all whom it concerns, and where nobody waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

from towpath.hub.memo import Job
from towpath.model.snapshot import Layer, Resource, Snapshot
from towpath.model.types import ENDPOINTS

UNTRIED = frozenset({ENDPOINTS})
"""Types whose changes are not tried on a few first: addresses that come and go must not wait."""

BYTES_OF_ONE = 256
"""How many bytes are read in about the time that one thing of other work takes."""

REMEMBERED_MEETS = 10_000
REMEMBERED_BYTES = 32 * 2**20

Meet = Callable[[Resource, Resource], Resource | None]
"""What two resources of one name have in common: see `Snapshot.meet`."""

Pair = tuple[Resource | None, Resource]
"""What was there before, if anything, and what is new."""

Difference = tuple[str, tuple[str, ...], tuple[str, ...]]
"""(type URL, versions of layers that are gone, of those that are new): equal for all sidecars to
which the same happens."""


@dataclass(frozen=True, slots=True)
class New:
    """A resource that takes the place of *before*; *narrows*: *before* let through all of it."""

    resource: Resource
    before: Resource | None
    narrows: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What is new of one type, sorted by name."""

    difference: Difference
    news: tuple[New, ...]


class Meets:
    """What pairs of resources have in common; the newest are remembered, up to so many bytes.

    It may be asked in any thread.
    """

    def __init__(self, *, most: int = REMEMBERED_MEETS, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._known: OrderedDict[tuple[Meet, str, str], Resource | None] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def of(self, meet: Meet, before: Resource, after: Resource) -> Resource | None:
        """What `meet(before, after)` gives."""
        key = meet, before.version, after.version
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        met = meet(before, after)
        with self._lock:
            if key not in self._known:
                self._known[key] = met
                self._bytes += _size(met)
            while len(self._known) > self._most or self._bytes > self._most_bytes:
                _, gone = self._known.popitem(last=False)
                self._bytes -= _size(gone)
        return met

    def __len__(self) -> int:
        return len(self._known)


class Comparisons:
    """Compares for many sidecars; each difference is remembered until `clear`.

    *do(job, size)* gives the value of a job, or raises to have it done elsewhere first; *size* is
    about how many things it goes through.
    """

    def __init__(self, meets: Meets, do: Callable[[Job, int], tuple[New, ...]]) -> None:
        self._meets = meets
        self._do = do
        self._jobs: dict[tuple[Meet, Difference], tuple[Job, int]] = {}

    def between(self, old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
        """What is new in *new*, of each type whose changes are tried."""
        return tuple(self._changes(old, new))

    def _changes(self, old: Snapshot, new: Snapshot) -> Iterator[Change]:
        for type_url in sorted(new.sets.keys() - UNTRIED):
            before, after = set(old.of(type_url).layers), set(new.of(type_url).layers)
            gone, come = _by_version(before - after), _by_version(after - before)
            if come:
                difference = type_url, tuple(gone), tuple(come)
                key = new.meet, difference
                if key not in self._jobs:
                    pairs = tuple(_pairs(gone, come))
                    job = Job(_compared, (pairs, new.meet, self._meets))
                    self._jobs[key] = job, sum(map(_length, pairs)) // BYTES_OF_ONE
                yield Change(difference, self._do(*self._jobs[key]))

    def clear(self) -> None:
        """Forget the differences: who has the new snapshots will not ask for them again."""
        self._jobs.clear()


def _by_version(layers: set[Layer]) -> dict[str, Layer]:
    return {layer.version: layer for layer in sorted(layers, key=lambda layer: layer.version)}


def _pairs(gone: dict[str, Layer], come: dict[str, Layer]) -> Iterator[Pair]:
    old = {name: one for layer in gone.values() for name, one in layer.items()}
    new = {name: one for layer in come.values() for name, one in layer.items()}
    for name in sorted(new):
        before, after = old.get(name), new[name]
        if before is None or before.version != after.version:
            yield before, after


def _compared(pairs: tuple[Pair, ...], meet: Meet, meets: Meets) -> tuple[New, ...]:
    return tuple(
        New(after, before, before is not None and meets.of(meet, before, after) == after)
        for before, after in pairs
    )


def _length(pair: Pair) -> int:
    """How much of it must be read to compare it."""
    before, after = pair
    return 0 if before is None else len(before.packed) + len(after.packed)


def _size(resource: Resource | None) -> int:
    return 0 if resource is None else len(resource.packed)
