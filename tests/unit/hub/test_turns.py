"""Long answers are worked out in turns: nobody waits for all of one, and nothing is done twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from itertools import count, pairwise

import pytest

from support.objects import mesh_config, mesh_of, namespace, pod
from support.running_hub import RunningHub
from towpath.hub.queries import SMALL_WORK, Queries, Query
from towpath.hub.turns import Turns
from towpath.model.mesh import Mesh

PARTS = 50


class Made:
    """Questions that note when, and in which thread, they were answered."""

    def __init__(self) -> None:
        self.parts: list[int] = []
        self.pieces: list[int] = []

    def part(self, _: Mesh, number: int) -> int:
        self.parts.append(number)
        return number

    def whole(self, mesh: Mesh) -> int:
        return sum(mesh.query(self.part, number) for number in range(PARTS))

    def piece(self, number: int) -> int:
        self.pieces.append(threading.get_ident())
        if number < 0:
            raise ValueError(number)
        return number

    def long(self, mesh: Mesh, number: int) -> int:
        return mesh.work(SMALL_WORK + 1, self.piece, number)


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def queries() -> Queries:
    return Queries(mesh_of())


def turns(queries: Queries, *, forgotten: list[Query] | None = None) -> Turns:
    """Turns by a clock by which each slice is over at once, so that it answers one question."""
    clock: Iterator[int] = count()
    given_up: list[Query] = [] if forgotten is None else forgotten
    return Turns(queries, forget=given_up.append, clock=lambda: float(next(clock)))


async def test_others_have_their_turn_while_a_long_question_is_answered(
    queries: Queries, made: Made
) -> None:
    seen: list[int] = []

    async def other() -> None:
        while len(seen) < PARTS:
            seen.append(len(made.parts))
            await asyncio.sleep(0)

    taking = turns(queries)
    total, _ = await asyncio.gather(
        taking.finish(lambda: queries.get(made.whole)), asyncio.create_task(other())
    )

    assert total == sum(range(PARTS))
    assert made.parts == list(range(PARTS)), "each part once, in order"
    assert max(after - before for before, after in pairwise(seen)) == 1


async def test_many_short_questions_share_the_event_loop_with_others(
    queries: Queries, made: Made
) -> None:
    """Each second of this clock is a whole slice, so that one is answered in a turn."""
    seen: list[int] = []

    async def other() -> None:
        while len(seen) < PARTS:
            seen.append(len(made.parts))
            await asyncio.sleep(0)

    taking = turns(queries)
    calls = [taking.finish(partial(queries.get, made.part, number)) for number in range(PARTS)]
    await asyncio.gather(other(), *calls)

    assert made.parts == list(range(PARTS))
    assert max(after - before for before, after in pairwise(seen)) <= 2


async def test_two_who_take_turns_do_nothing_twice(queries: Queries, made: Made) -> None:
    taking = turns(queries)
    calls = [taking.finish(lambda: queries.get(made.whole)) for _ in range(2)]

    assert await asyncio.gather(*calls) == [sum(range(PARTS))] * 2
    assert made.parts == list(range(PARTS))


async def test_one_long_piece_is_done_once_and_elsewhere(queries: Queries, made: Made) -> None:
    taking = turns(queries)
    calls = [taking.finish(lambda: queries.get(made.long, 7)) for _ in range(3)]

    assert await asyncio.gather(*calls) == [7, 7, 7]
    assert len(made.pieces) == 1
    assert made.pieces[0] != threading.get_ident()


async def test_without_turns_a_long_piece_is_done_at_once(queries: Queries, made: Made) -> None:
    assert queries.get(made.long, 7) == 7
    assert made.pieces == [threading.get_ident()]


async def test_what_a_long_piece_raises_is_raised_to_who_asked(
    queries: Queries, made: Made
) -> None:
    with pytest.raises(ValueError, match="-1"):
        await turns(queries).finish(lambda: queries.get(made.long, -1))


async def test_a_question_that_is_given_up_is_told(queries: Queries, made: Made) -> None:
    forgotten: list[Query] = []
    task = asyncio.create_task(
        turns(queries, forgotten=forgotten).finish(lambda: queries.get(made.whole))
    )
    while len(made.parts) < PARTS // 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert forgotten == [(made.whole, ())]
    queries.forget(made.whole)
    assert 0 == queries.counts.remembered


async def test_an_answer_that_was_left_off_and_is_the_same_has_not_changed(
    queries: Queries, made: Made
) -> None:
    queries.get(made.whole)
    before = queries.changed_at(made.whole)
    queries.forget(made.part, 1)
    queries.update(mesh_of(), [])
    await turns(queries).finish(lambda: queries.get(made.whole))

    assert queries.changed_at(made.whole) == before


async def test_many_who_come_at_once_are_served_over_several_turns(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towpath.hub.turns.SLICE_SECONDS", -1.0)
    await running.holds(namespace("shop"), mesh_config(), pod("web"))
    streams = [running.attach("web") for _ in range(20)]

    assert [None] * 20 == [stream.snapshot for stream in streams]
    for stream in streams:
        await stream.next()
