"""Changes: what is new in a snapshot, and what two versions of a resource have in common."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from towpath.model.snapshot import Resource, Vocabulary

REMEMBERED = 10_000
REMEMBERED_BYTES = 32 * 2**20

Difference = tuple[str, tuple[str, ...], tuple[str, ...]]
"""(type URL, versions of layers that are gone, of those that are new): equal for all sidecars to
which the same happens."""


_Key = tuple[Vocabulary, str, str]


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


class Intersections:
    """What pairs of resources of one name both let through; the newest are remembered, up to so
    many bytes.

    It may be asked in any thread.
    """

    def __init__(self, *, most: int = REMEMBERED, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._by_pair: OrderedDict[_Key, Resource | None] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def of(self, vocabulary: Vocabulary, before: Resource, after: Resource) -> Resource | None:
        """What `vocabulary.intersection(before, after)` gives."""
        key = vocabulary, before.version, after.version
        with self._lock:
            if key in self._by_pair:
                self._by_pair.move_to_end(key)
                return self._by_pair[key]
        resource = vocabulary.intersection(before, after)
        with self._lock:
            self._remember(key, resource)
            if resource is not None:
                # A client that was given it is compared next with what it still waits for: that
                # lets through all of it, as it was made so.
                self._remember((vocabulary, resource.version, after.version), resource)
            while len(self._by_pair) > self._most or self._bytes > self._most_bytes:
                _, gone = self._by_pair.popitem(last=False)
                self._bytes -= _size(gone)
        return resource

    def lacks(self, vocabulary: Vocabulary, before: Resource, after: Resource) -> bool:
        """True if `of` would have to work that out."""
        with self._lock:
            return (vocabulary, before.version, after.version) not in self._by_pair

    def _remember(self, key: _Key, resource: Resource | None) -> None:
        if key not in self._by_pair:
            self._by_pair[key] = resource
            self._bytes += _size(resource)

    def __len__(self) -> int:
        return len(self._by_pair)


def _size(resource: Resource | None) -> int:
    return 0 if resource is None else len(resource.packed)
