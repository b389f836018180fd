"""The event loop's lag is measured, and what held the loop is named."""

from __future__ import annotations

import asyncio
import time

import pytest

from towpath.telemetry.lag import LoopLag
from towpath.telemetry.metrics import Metrics

LOOKS = "towpath_event_loop_lag_seconds_count"
LONGEST = "towpath_event_loop_longest_lag_seconds"


async def _measured(metrics: Metrics, lag: LoopLag, *, looks: int, held: float = 0.0) -> None:
    def count() -> float:
        return metrics.registry.get_sample_value(LOOKS) or 0.0

    running = asyncio.create_task(lag.run())
    async with asyncio.timeout(60):
        while not count():
            await asyncio.sleep(0.001)
        if held:
            _hold_the_loop(lag, held)
        wanted = count() + looks
        while count() < wanted:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _hold_the_loop(lag: LoopLag, seconds: float) -> None:
    deadline = time.monotonic() + 30
    while not lag._cause and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)


async def test_what_holds_the_loop_is_measured_and_named(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    lag = LoopLag(metrics, interval_s=0.01, long_s=0.1)

    def named() -> bool:
        lines = [one.getMessage() for one in caplog.records if one.name == "towpath.telemetry.lag"]
        return any(
            "_hold_the_loop (" in line and line.startswith("the event loop") for line in lines
        )

    # On a busy machine what comes after a hold may last long enough to be named instead of it.
    async with asyncio.timeout(100):
        while not named():
            await _measured(metrics, lag, looks=1, held=0.1)

    longest = metrics.registry.get_sample_value(LONGEST)
    assert longest is not None
    assert longest > 0.1


async def test_a_loop_that_is_free_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()

    await _measured(metrics, LoopLag(metrics, interval_s=0.01, long_s=60), looks=3)

    assert caplog.records == []
