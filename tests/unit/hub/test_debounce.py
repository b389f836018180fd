"""Debounce: the first change at once, the next ones together, none later than the longest."""

from __future__ import annotations

import asyncio

import pytest

from support.fake_time import Now, run_in_fake_time
from towpath.hub.debounce import Debounce

QUIET, LONGEST = 0.02, 0.5


async def _released(
    clock: Now, touches: list[float], *, quiet: float = QUIET, longest: float = LONGEST
) -> list[tuple[float, float]]:
    """For changes at *touches* (s): when each release came, and the time it gave as the first's."""
    debounce = Debounce(quiet=quiet, longest=longest, clock=clock)
    start = clock()
    for at in touches:
        asyncio.get_running_loop().call_at(start + at, debounce.touch)
    releases: list[tuple[float, float]] = []

    async def follow() -> None:
        while True:
            first = await debounce.wait()
            releases.append((round(clock() - start, 4), round(first - start, 4)))

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(max(touches) + longest + quiet + 1)
    following.cancel()
    return releases


@pytest.mark.parametrize(
    ("touches", "expected"),
    [
        pytest.param([0.1], [(0.1, 0.1)], id="the first change goes out at once"),
        pytest.param(
            [0.1, 1.1], [(0.1, 0.1), (1.1, 1.1)], id="a change after a quiet time goes out at once"
        ),
        pytest.param(
            [0.1, 0.105, 0.11],
            [(0.1, 0.1), (0.13, 0.105)],
            id="what follows close behind is taken together, after a quiet time",
        ),
        pytest.param(
            [0.1, 0.105, 0.12, 0.135, 0.15],
            [(0.1, 0.1), (0.17, 0.105)],
            id="every further change moves the deadline",
        ),
        pytest.param(
            [0.1, 0.121], [(0.1, 0.1), (0.121, 0.121)], id="just behind the quiet time is quiet"
        ),
    ],
)
def test_when_changes_are_released(
    touches: list[float], expected: list[tuple[float, float]]
) -> None:
    async def scenario(clock: Now) -> list[tuple[float, float]]:
        return await _released(clock, touches)

    assert expected == run_in_fake_time(scenario)


def test_changes_that_never_stop_are_released_after_the_longest_time() -> None:
    touches = [round(0.01 * n, 2) for n in range(1, 160)]

    async def scenario(clock: Now) -> list[tuple[float, float]]:
        return await _released(clock, touches)

    releases = run_in_fake_time(scenario)

    assert releases[0] == (0.01, 0.01)
    assert all(at - first <= LONGEST + 1e-6 for at, first in releases)
    assert [0.01, 0.52, 1.03, 1.54] == [at for at, _ in releases[:4]]
    assert releases[-1][0] <= touches[-1] + QUIET + 1e-6


def test_without_a_quiet_time_nothing_waits() -> None:
    async def scenario(clock: Now) -> list[tuple[float, float]]:
        return await _released(clock, [0.1, 0.101, 0.102], quiet=0, longest=0)

    assert [(0.1, 0.1), (0.101, 0.101), (0.102, 0.102)] == run_in_fake_time(scenario)


def test_changes_that_came_while_nobody_waited_are_one_release_at_once() -> None:
    async def scenario(clock: Now) -> tuple[float, bool]:
        debounce = Debounce(quiet=QUIET, longest=LONGEST, clock=clock)
        begun = clock()
        debounce.touch()
        await asyncio.sleep(0.01)
        debounce.touch()
        first = await debounce.wait()
        again = asyncio.ensure_future(debounce.wait())
        await asyncio.sleep(10)
        settled_again = again.done()
        again.cancel()
        return first - begun, settled_again

    assert run_in_fake_time(scenario) == (0.0, False)
