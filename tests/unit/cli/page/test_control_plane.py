"""Asking the replicas for a page: once for all who look, and the last answer while nobody says
anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from towpath.cli.page.control_plane import (
    AGAIN_S,
    FRESH_S,
    MOST_ANSWERS,
    ControlPlane,
    QuestionError,
)
from towpath.cli.replicas import Answers
from towpath.cli.server import NoAnswer
from towpath_api.v1 import inspector_pb2 as pb


class Replicas:
    """Answers a question with its number, or raises what a test wants."""

    def __init__(self) -> None:
        self.questions = 0
        self.error: Exception | None = None
        self.before: Callable[[], None] = lambda: None

    def ask_by_channel(self, _method: object, _ask: object) -> Answers[Any]:
        self.questions += 1
        self.before()
        if self.error is not None:
            raise self.error
        return Answers({"one": pb.GetOverviewResponse(version=str(self.questions))}, {})


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


@pytest.fixture
def time() -> list[float]:
    return [100.0]


@pytest.fixture
def control_plane(replicas: Replicas, time: list[float]) -> Iterator[ControlPlane]:
    asking: Any = replicas
    one = ControlPlane(asking, clock=lambda: time[0], now=lambda: 1_000 + time[0])
    yield one
    one.close()


async def test_all_who_look_at_one_moment_share_an_answer(
    control_plane: ControlPlane, replicas: Replicas
) -> None:
    answers = await asyncio.gather(*(control_plane.overview() for _ in range(20)))

    assert (1, {"1"}) == (
        replicas.questions,
        {reading.one.version for reading in answers if reading.one},
    )


async def test_an_answer_that_is_not_fresh_is_asked_for_again(
    control_plane: ControlPlane, time: list[float]
) -> None:
    versions = []
    for seconds in (0.0, FRESH_S - 0.1, 0.2):
        time[0] += seconds
        reading = await control_plane.overview()
        assert reading.one is not None
        versions.append(reading.one.version)

    assert ["1", "1", "2"] == versions


async def test_the_last_answer_stays_while_nobody_answers(
    control_plane: ControlPlane, replicas: Replicas, time: list[float]
) -> None:
    await control_plane.overview()
    replicas.error = NoAnswer("gone")
    time[0] += 60
    reading = await control_plane.overview()

    assert reading.one is not None
    assert ("1", "gone", 1_100.0) == (reading.one.version, reading.fault, reading.at)


async def test_a_slow_question_is_asked_less_often_and_a_failed_one_again_soon(
    control_plane: ControlPlane, replicas: Replicas, time: list[float]
) -> None:
    def slowly() -> None:
        time[0] += 8

    replicas.before = slowly
    await control_plane.overview()
    time[0] += 20
    await control_plane.overview()
    of_slow = replicas.questions
    replicas.error = NoAnswer("too slow")
    time[0] += 20
    await control_plane.overview()
    time[0] += AGAIN_S + 0.1
    await control_plane.overview()

    assert (1, 3) == (of_slow, replicas.questions)


async def test_a_question_that_cannot_be_read_is_no_silence(
    control_plane: ControlPlane, replicas: Replicas
) -> None:
    replicas.error = click.UsageError("nobody has no namespace")
    with pytest.raises(QuestionError, match="nobody has no namespace"):
        await control_plane.explanation(pb.ExplainRequest(service_account="nobody"))


async def test_the_memory_of_answers_is_bounded(control_plane: ControlPlane) -> None:
    for number in range(MOST_ANSWERS + 50):
        await control_plane.resources(f"p{number}.shop")

    assert MOST_ANSWERS == len(control_plane._entries)


async def test_who_goes_away_does_not_end_the_question_of_others(
    control_plane: ControlPlane, replicas: Replicas
) -> None:
    first = asyncio.create_task(control_plane.overview())
    await asyncio.sleep(0)
    second = asyncio.create_task(control_plane.overview())
    await asyncio.sleep(0)
    first.cancel()
    reading = await second

    assert reading.one is not None
    assert ("1", 1) == (reading.one.version, replicas.questions)
