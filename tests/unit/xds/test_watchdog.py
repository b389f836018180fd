"""Who reads nothing is ended; who was not looked at, because the server was busy, is not."""

from __future__ import annotations

import asyncio

import pytest

from support.fake_time import FakeTimeLoop, Now, run_in_fake_time
from towpath.xds.limits import LimitExceeded
from towpath.xds.watchdog import ReadWatchdog

READ_WAIT_S = 30.0


async def _write(watchdog: ReadWatchdog, seconds: float) -> None:
    with watchdog.write():
        await asyncio.sleep(seconds)


def test_a_write_that_is_never_taken_ends_with_the_limits_name() -> None:
    async def scenario(now: Now) -> float:
        began = now()
        with pytest.raises(LimitExceeded, match="nothing was read for 30 s") as raised:
            await _write(ReadWatchdog(READ_WAIT_S), 1_000)
        assert "read-wait" == raised.value.limit
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        return now() - began

    assert READ_WAIT_S <= run_in_fake_time(scenario) <= READ_WAIT_S + 2


def test_each_write_has_its_own_time() -> None:
    async def scenario(now: Now) -> float:
        watchdog = ReadWatchdog(READ_WAIT_S)
        slow = asyncio.create_task(_write(watchdog, 1_000))
        for _ in range(10):
            await _write(watchdog, 5)
        assert isinstance(slow.exception(), LimitExceeded)
        return now()

    assert run_in_fake_time(scenario)


def test_a_loop_that_was_held_is_no_fault_of_the_client() -> None:
    async def scenario(_: Now) -> None:
        watchdog = ReadWatchdog(READ_WAIT_S)
        writing = asyncio.create_task(_write(watchdog, 3 * READ_WAIT_S))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeTimeLoop)

        loop._jump.now += 10 * READ_WAIT_S  # as if something had run for so long
        await writing

    run_in_fake_time(scenario)


def test_a_cancelled_write_is_just_cancelled() -> None:
    async def scenario(_: Now) -> None:
        writing = asyncio.create_task(_write(ReadWatchdog(READ_WAIT_S), 1_000))
        await asyncio.sleep(5)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run_in_fake_time(scenario)


def test_all_writes_share_a_timer_and_none_is_left_behind() -> None:
    async def scenario(_: Now) -> int:
        watchdog = ReadWatchdog(READ_WAIT_S)
        await asyncio.gather(*(_write(watchdog, 0) for _ in range(100)))
        loop = asyncio.get_running_loop()
        timers = len(loop._scheduled)  # type: ignore[attr-defined]
        await asyncio.sleep(5)
        assert watchdog._timer is None
        return timers

    assert 1 == run_in_fake_time(scenario)
