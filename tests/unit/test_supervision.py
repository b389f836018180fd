"""What nobody foresaw: a task that fails starts again, and the others do not notice."""

from __future__ import annotations

import asyncio

import pytest

from support.samples import sample
from towpath.supervision import Supervisor
from towpath.telemetry.metrics import Metrics


class Failing:
    """Work that fails *times* times, and then does as it is told."""

    def __init__(self, times: int, *, ends: bool = True) -> None:
        self.begun = 0
        self._times = times
        self._ends = ends

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self._times:
            raise RecursionError(f"failure {self.begun}")
        if not self._ends:
            await asyncio.Event().wait()


async def test_a_task_that_fails_is_logged_counted_and_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, work = Metrics(), Failing(2)
    await Supervisor(metrics, first_pause_s=0.001).keep("tls", work.run)

    assert 3 == work.begun
    assert 2 == sample(metrics, "towpath_task_failures_total", task="tls")
    assert ["failure 1", "failure 2"] == [
        str(record.exc_info[1]) for record in caplog.records if record.exc_info
    ]


async def test_the_pauses_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    supervisor = Supervisor(Metrics(), first_pause_s=1, longest_pause_s=5, clock=lambda: 0.0)
    await supervisor.keep("hub", Failing(5).run)

    assert [1, 2, 4, 5, 5] == pauses


async def test_a_task_that_is_cancelled_is_not_started_again() -> None:
    work = Failing(0, ends=False)
    task = asyncio.create_task(Supervisor(Metrics()).keep("hub", work.run))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert (True, 1) == (task.cancelled(), work.begun)
