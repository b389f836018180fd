"""The writer's pace: what is written, how much at once, and by whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.status_writer import Given, Written, scenario
from support.written_api import WrittenApi
from towpath.answers.status import Counts
from towpath.kubeapi.client import KubeApiError


def test_a_status_is_written_once_however_often_there_are_news() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a")
        assert ["a"] == await it.after(0.1)
        for _ in range(20):
            assert [] == await it.after(1)

    scenario(test)


def test_a_condition_that_turns_is_written_at_once_and_counts_wait() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a", Counts(3, 0))
        assert ["a"] == await it.after(3)
        it.given.policy("a", Counts(3, 1))
        assert [] == await it.after(3)  # within ten seconds of the last
        it.given.policy("a", Counts(3, 2))
        assert ["a"] == await it.after(10)
        it.given.policy("a", Counts(3, 3))
        assert ["a"] == await it.after(1)
        assert {"Accepted": "True", "Programmed": "True"} == it.conditions("a")

    scenario(test)


def test_counts_that_never_rest_are_written_every_ten_seconds() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a", Counts(100, 0))
        await it.after(1)
        names: list[str] = []
        for round_ in range(100):
            it.given.policy("a", Counts(100, round_ % 50))
            names += await it.after(1)

        assert 8 <= len(names) <= 10

    scenario(test)


def test_many_at_once_take_turns_of_fifty_and_turned_conditions_come_first() -> None:
    async def test(it: Written) -> None:
        for number in range(120):
            it.given.policy(f"p{number:03}", Counts(2, 0))
        assert 50 == len(await it.after(0.1))
        await asyncio.sleep(5)
        assert 120 == len(it.api.written())
        for number in range(120):
            it.given.policy(f"p{number:03}", Counts(2, 1))
        it.given.policy("p119", accepted=False)
        await asyncio.sleep(10)

        assert "p119" == (await it.after(0.1))[0]

    scenario(test)


def test_what_the_cluster_has_already_is_not_written_again() -> None:
    api = WrittenApi()

    async def first(it: Written) -> None:
        it.given.policy("a", Counts(1, 1))
        await it.after(1)
        foreign = {"type": "Other", "status": "True"}
        (body,) = api.written()
        status = {**body["status"], "more": 1}
        status["conditions"] = [foreign, *reversed(status["conditions"])]
        api.policies = [{"metadata": {"uid": "uid-a"}, "status": status}]

    async def second(it: Written) -> None:
        it.given.policy("a", Counts(1, 1))
        assert [] == await it.after(30)

    scenario(first, api=api)
    api.writes.clear()
    scenario(second, api=api)


def test_what_others_did_to_a_status_is_put_right() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a")
        assert ["a"] == await it.after(1)
        it.api.policies = [{"metadata": {"uid": "uid-a"}, "status": {"conditions": []}}]
        await asyncio.sleep(700)

        assert 2 == len(it.api.written())

    scenario(test)


@pytest.mark.parametrize(
    "status", [None, [], "x", {"conditions": "x"}, {"conditions": [1, {"type": 5}]}]
)
def test_a_status_of_any_form_is_overwritten(status: Any) -> None:
    api = WrittenApi(policies=[{"metadata": {"uid": "uid-a"}, "status": status}])

    async def test(it: Written) -> None:
        it.given.policy("a")
        assert ["a"] == await it.after(1)

    scenario(test, api=api)


def test_a_thousand_policies_are_read_in_pages() -> None:
    held = [{"metadata": {"uid": f"uid-{n}"}, "status": {"conditions": []}} for n in range(1200)]
    api = WrittenApi(policies=held)

    async def test(it: Written) -> None:
        await it.after(1)
        assert 3 == sum(path.endswith("/egresses") for path in api.reads)

    scenario(test, api=api)


def test_who_does_not_hold_the_lease_writes_no_status_and_counts_only_for_its_report() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a")
        it.given.problem("a")
        assert [] == await it.after(100)
        assert {"towpath-replica-me"} == {path.rpartition("/")[2] for path in it.api.tries}
        assert it.given.computed <= 12

        it.given.held = True
        assert ["a"] == await it.after(3)
        assert {} == it.api.leases

    scenario(test, given=Given(held=False))


def test_nothing_is_written_after_the_lease_is_lost() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/p00/"] = KubeApiError(409, "x")
        for number in range(5):
            it.given.policy(f"p0{number}")
        it.given.held = True
        original = it.api.apply

        async def apply(path: str, body: Any, **more: object) -> bytes:
            if "/egresses/p02/" in path:
                it.given.held = False
            return await original(path, body, **more)

        it.api.apply = apply  # type: ignore[method-assign]
        assert ["p01", "p02"] == await it.after(10)

    scenario(test)


def test_nothing_is_written_before_the_first_view_is_built() -> None:
    async def test(it: Written) -> None:
        it.given.policy("a")
        assert [] == await it.after(30)
        assert [] == it.api.reads

    scenario(test, given=Given(ready=False))


def test_events_are_told_once_ten_at_a_time() -> None:
    async def test(it: Written) -> None:
        for number in range(25):
            it.given.policy(f"p{number}")
            it.given.problem(f"p{number}")
        await it.after(0.1)
        assert 10 == len(it.api.written("/events"))
        for _ in range(30):
            await it.after(1)
        assert 25 == len(it.api.written("/events"))

    scenario(test)


def test_metrics_say_who_writes_and_how_it_went() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/bad/"] = KubeApiError(500, "x")
        it.given.policy("bad")
        it.given.policy("good")
        await it.after(0.1)
        assert (1, 1) == (it.counted("Egress", "written"), it.counted("Egress", "failed"))
        writes = it.metrics.registry.get_sample_value
        lease = {"lease": it.given.full_name}
        assert 1 == writes("towpath_status_writer", lease)
        it.given.held = False
        assert 0 == writes("towpath_status_writer", lease)

    scenario(test)
