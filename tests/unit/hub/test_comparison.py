"""What is new in a snapshot is worked out once, and what two resources have in common too."""

from __future__ import annotations

from support.resources import FakeVocabulary, layer, resource
from towpath.hub.comparison import BYTES_OF_ONE, Comparisons
from towpath.hub.queries import Job
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, ROUTES
from towpath.rollout.changes import Intersections, New

WIDE, NARROW = resource(ROUTES, "r", "wide"), resource(ROUTES, "r", "narrow")
OLD = layer(ROUTES, {"r": "wide", "s": "1", "t": "1"})
NEW = layer(ROUTES, {"r": "narrow", "s": "1", "t": "2", "u": "1"})


class Work:
    """Notes what is compared, and how much work it was said to be."""

    def __init__(self) -> None:
        self.compared: list[tuple[str, str]] = []
        self.sizes: list[int] = []
        self.intersections = Intersections()
        self.vocabulary = FakeVocabulary(intersection=self.intersection)
        self.comparisons = Comparisons(self.intersections, self.do)

    def do(self, job: Job, size: int) -> tuple[New, ...]:
        if not job.done:
            self.sizes.append(size)
            job.run()
        found: tuple[New, ...] = job.value
        return found

    def intersection(self, held: Resource, new: Resource) -> Resource | None:
        self.compared.append((held.version, new.version))
        return new if new == NARROW else held

    def snapshot(self, *layers: Layer) -> Snapshot:
        return Snapshot({ROUTES: ResourceSet(ROUTES, layers)}, self.vocabulary)


def test_what_is_new_is_told_with_what_was_there_and_whether_it_only_narrows_that() -> None:
    work = Work()
    (change,) = work.comparisons.between(work.snapshot(OLD), work.snapshot(NEW))

    assert change.news == (
        New(NARROW, WIDE, narrows=True),
        New(resource(ROUTES, "t", "2"), resource(ROUTES, "t", "1"), narrows=False),
        New(resource(ROUTES, "u", "1"), None, narrows=False),
    )


def test_sidecars_to_which_the_same_happens_are_compared_once() -> None:
    work = Work()
    mine, yours = layer(ROUTES, {"mine": "1"}), layer(ROUTES, {"yours": "1"})
    first = work.comparisons.between(work.snapshot(OLD, mine), work.snapshot(NEW, mine))
    second = work.comparisons.between(work.snapshot(yours, OLD), work.snapshot(yours, NEW))

    assert first == second
    assert len(work.sizes) == 1


def test_a_difference_is_forgotten_and_what_was_compared_is_not() -> None:
    work = Work()
    once = work.comparisons.between(work.snapshot(OLD), work.snapshot(NEW))
    work.comparisons.clear()

    assert once == work.comparisons.between(work.snapshot(OLD), work.snapshot(NEW))
    assert len(work.sizes) == 2
    assert len(work.compared) == len(set(work.compared)) == 2


def test_the_work_is_what_must_be_read_and_what_is_only_new_is_none() -> None:
    work = Work()
    long = layer(ROUTES, {"r": "x" * 100 * BYTES_OF_ONE})
    work.comparisons.between(work.snapshot(OLD), work.snapshot(long))
    work.comparisons.between(work.snapshot(), work.snapshot(long))

    assert work.sizes == [100, 0]


def test_endpoints_are_never_compared_and_equal_snapshots_have_nothing_new() -> None:
    work = Work()
    before = Snapshot({t: ResourceSet(t, (layer(t, {"a": "1"}),)) for t in (CLUSTER, ENDPOINTS)})
    after = Snapshot({t: ResourceSet(t, (layer(t, {"a": "2"}),)) for t in (CLUSTER, ENDPOINTS)})

    assert work.comparisons.between(before, before) == ()
    (change,) = work.comparisons.between(before, after)
    assert change.difference[0] == CLUSTER


def test_what_was_compared_is_remembered_within_bounds() -> None:
    work = Work()
    others = [resource(ROUTES, "r", str(n)) for n in range(20)]
    for intersections in (Intersections(most=3), Intersections(most_bytes=3 * len(WIDE.packed))):
        for other in others:
            assert intersections.of(work.vocabulary, WIDE, other) == WIDE
        assert len(intersections) == 3

        compared = len(work.compared)
        intersections.of(work.vocabulary, WIDE, others[-1])
        assert len(work.compared) == compared
