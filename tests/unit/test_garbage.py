"""What lives long is set apart, and what is garbage in it is still found."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import pytest

from towpath.garbage import (
    BYTES_OF_STREAM,
    LEAST_GROWTH_BYTES,
    MOST_BYTES_OF_STREAM,
    MOST_LOOKS,
    GarbageCollection,
    resident_bytes,
)


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    """One of which a test says how large it is, and how many streams are open, and
    have ended."""

    def __init__(self) -> None:
        self.size = 1 << 30
        self.streams = 0
        self.ended = 0

    def __len__(self) -> int:
        return self.streams

    def resident(self) -> int:
        return self.size


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture(autouse=True)
def _no_frozen() -> Iterator[None]:
    """A failed test leaves nothing to the next."""
    yield
    gc.unfreeze()


@pytest.fixture
async def collection(process: Process) -> AsyncIterator[GarbageCollection]:
    one = GarbageCollection(process, resident=process.resident)
    running = asyncio.ensure_future(one.run())
    await asyncio.sleep(0)
    yield one
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _frozen_garbage(collection: GarbageCollection) -> weakref.ref[Cycle]:
    """A cycle that was in use when so much had come to stay that it was set apart."""
    cycle = Cycle()
    for _ in range(MOST_LOOKS):
        gc.collect(1)
    collection.settle()
    return weakref.ref(cycle)


async def test_what_comes_to_stay_is_set_apart_once_it_is_much(
    collection: GarbageCollection,
) -> None:
    before = gc.get_freeze_count()
    gc.collect(1)
    collection.settle()

    assert gc.get_freeze_count() == before

    garbage = _frozen_garbage(collection)
    gc.collect()

    assert gc.get_freeze_count() > before
    assert garbage() is not None


async def test_garbage_that_is_not_set_apart_is_collected_soon(
    collection: GarbageCollection,
) -> None:
    cycle = Cycle()
    gc.collect(1)  # it outlives a look, and the next one of its kind is not for it
    garbage = weakref.ref(cycle)
    del cycle
    collection.settle()

    assert garbage() is None


async def test_garbage_in_it_is_collected_once_the_process_has_grown(
    collection: GarbageCollection, process: Process
) -> None:
    garbage = _frozen_garbage(collection)
    collection.look()

    assert garbage() is not None

    process.size += process.size // 2 + 1
    collection.look()

    assert garbage() is None


async def test_a_little_growth_of_a_small_process_is_none(
    collection: GarbageCollection, process: Process
) -> None:
    garbage = _frozen_garbage(collection)
    process.size = LEAST_GROWTH_BYTES
    collection.look()
    process.size += LEAST_GROWTH_BYTES - 1
    collection.look()

    assert garbage() is not None

    process.size += 1
    collection.look()

    assert garbage() is None


async def test_what_open_streams_need_is_no_growth(
    collection: GarbageCollection, process: Process
) -> None:
    garbage = _frozen_garbage(collection)
    process.streams = 100_000
    process.size += process.streams * BYTES_OF_STREAM
    collection.look()

    assert garbage() is not None

    process.streams = 0
    collection.look()

    assert garbage() is None


async def test_what_streams_may_need_is_garbage_only_if_others_have_ended(
    collection: GarbageCollection, process: Process
) -> None:
    """Each of many streams needs more than is taken for granted, as with mutual TLS."""
    garbage = _frozen_garbage(collection)
    process.streams = 100_000
    process.size = process.streams * MOST_BYTES_OF_STREAM
    collection.look()
    process.ended = 10_000  # they took a tenth of that
    collection.look()

    assert garbage() is not None

    process.ended = 50_000
    collection.look()

    assert garbage() is None


async def test_while_a_mesh_connects_nothing_is_looked_at(
    collection: GarbageCollection, process: Process
) -> None:
    garbage = _frozen_garbage(collection)
    for _ in range(10):
        process.streams += 100
        process.ended += 1000
        process.size += 1 << 30
        collection.look()

    assert garbage() is not None

    process.streams += 10  # it is all there but for a few
    collection.look()

    assert garbage() is None


async def test_where_some_garbage_is_there_may_be_more(
    collection: GarbageCollection, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towpath.garbage.BYTES_OF_OBJECT", 1 << 30)
    garbage = _frozen_garbage(collection)
    process.streams = 100_000
    process.size = process.streams * MOST_BYTES_OF_STREAM
    collection.look()

    assert garbage() is not None

    for _ in range(10):
        Cycle()
    gc.collect()
    collection.look()

    assert garbage() is None


async def test_python_goes_on_as_before_at_the_end() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    collection = GarbageCollection(Process())
    running = asyncio.ensure_future(collection.run())
    await asyncio.sleep(0)
    _frozen_garbage(collection)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert before == (gc.get_threshold(), list(gc.callbacks))
    assert gc.get_freeze_count() == 0


async def test_nothing_is_set_apart_where_the_size_is_not_known() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    await GarbageCollection(Process(), resident=lambda: 0).run()

    assert before == (gc.get_threshold(), list(gc.callbacks))


def test_a_process_has_a_size() -> None:
    assert 1 << 20 < resident_bytes() < 1 << 40
