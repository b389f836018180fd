"""However many streams are woken at once, few of them step in one turn of the event loop."""

from __future__ import annotations

import asyncio
from itertools import count, pairwise

from towpath.xds.pace import AT_ONCE, Pace

STREAMS = 10 * AT_ONCE


async def test_streams_step_in_their_order_few_in_one_turn() -> None:
    pace, stepped, seen = _slow(), list[int](), list[int]()

    async def stream(number: int) -> None:
        await pace.turn()
        stepped.append(number)

    tasks = [asyncio.create_task(stream(number)) for number in range(STREAMS)]
    while len(stepped) < STREAMS:
        seen.append(len(stepped))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert list(range(STREAMS)) == stepped
    assert AT_ONCE >= max(after - before for before, after in pairwise(seen))


async def test_a_stream_that_ends_meanwhile_keeps_no_other_waiting() -> None:
    pace = _slow()
    tasks = [asyncio.create_task(pace.turn()) for _ in range(STREAMS)]
    await asyncio.sleep(0)
    for task in tasks[1 : 5 * AT_ONCE]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert not any(task.cancelled() for task in (tasks[0], *tasks[5 * AT_ONCE :]))


async def test_nobody_waits_as_long_as_there_is_time() -> None:
    pace = Pace(clock=lambda: 0.0)
    for _ in range(STREAMS):
        waiting = pace.turn()
        try:
            waiting.send(None)
        except StopIteration:
            continue
        raise AssertionError("it waits")


def _slow() -> Pace:
    """Of streams each of which takes all the time of a turn."""
    seconds = count()
    return Pace(clock=lambda: float(next(seconds)))
