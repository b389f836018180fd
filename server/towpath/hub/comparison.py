"""Comparison: what is new in a snapshot, and whether it only narrows what was there before.

To see that, both versions of a resource are read, which takes long for large ones. So it is
worked out before anything is changed, once for all whom it concerns, and where nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from towpath.hub.queries import Job
from towpath.model.snapshot import Layer, Resource, Snapshot, Vocabulary
from towpath.model.types import ENDPOINTS, SECRET
from towpath.rollout.changes import Change, Difference, Intersections, New

UNTRIED = frozenset({ENDPOINTS, SECRET})
"""Types whose changes are not tried on a few first: addresses that come and go must not wait, nor
who may answer there, and a certificate ends if it does.
"""

BYTES_OF_ONE = 256
"""How many bytes are read in about the time that one thing of other work takes."""

Pair = tuple[Resource | None, Resource]
"""What was there before, if anything, and what is new."""


class Comparisons:
    """Compares for many sidecars; each difference is remembered until `clear`.

    *do(job, size)* gives the value of a job, or raises to have it done elsewhere first; *size* is
    about how many things it goes through.
    """

    def __init__(
        self, intersections: Intersections, do: Callable[[Job, int], tuple[New, ...]]
    ) -> None:
        self._intersections = intersections
        self._do = do
        self._jobs: dict[tuple[Vocabulary, Difference], tuple[Job, int]] = {}

    def between(self, old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
        """What is new in *new*, of each type whose changes are tried."""
        return tuple(self._changes(old, new))

    def _changes(self, old: Snapshot, new: Snapshot) -> Iterator[Change]:
        for type_url, resources in sorted(new.sets.items()):
            before = old.sets[type_url].layers if type_url in old.sets else ()
            after = resources.layers
            if type_url in UNTRIED or before == after:
                continue
            gone, come = _by_version(before, but=after), _by_version(after, but=before)
            if come:
                difference = type_url, tuple(gone), tuple(come)
                key = new.vocabulary, difference
                if key not in self._jobs:
                    pairs = tuple(_pairs(gone, come))
                    job = Job(_compared, (pairs, new.vocabulary, self._intersections))
                    self._jobs[key] = job, sum(map(_length, pairs)) // BYTES_OF_ONE
                yield Change(difference, self._do(*self._jobs[key]))

    def clear(self) -> None:
        """Forget the differences: who has the new snapshots will not ask for them again."""
        self._jobs.clear()


def _by_version(layers: Iterable[Layer], *, but: Iterable[Layer]) -> dict[str, Layer]:
    """Those of *layers* that are not among the others."""
    own = set(layers).difference(but)
    return {layer.version: layer for layer in sorted(own, key=lambda layer: layer.version)}


def _pairs(gone: dict[str, Layer], come: dict[str, Layer]) -> Iterator[Pair]:
    old = {name: one for layer in gone.values() for name, one in layer.items()}
    new = {name: one for layer in come.values() for name, one in layer.items()}
    for name in sorted(new):
        before, after = old.get(name), new[name]
        if before is None or before.version != after.version:
            yield before, after


def _compared(
    pairs: tuple[Pair, ...], vocabulary: Vocabulary, intersections: Intersections
) -> tuple[New, ...]:
    def narrows(before: Resource | None, after: Resource) -> bool:
        return before is not None and intersections.of(vocabulary, before, after) == after

    return tuple(New(after, before, narrows(before, after)) for before, after in pairs)


def _length(pair: Pair) -> int:
    """How much of it must be read to compare it."""
    before, after = pair
    return 0 if before is None else len(before.packed) + len(after.packed)
