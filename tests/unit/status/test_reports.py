"""Reports: what replicas tell each other of their sidecars, and for how long it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast

import pytest

from support.fake_time import Now, run_in_fake_time
from support.written_api import WrittenApi
from towpath.answers.status import Counts, PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.model.names import ObjectRef, Stamp
from towpath.status import reports
from towpath.status.reports import ANNOTATION, Reports


def _status(counts: Counts, *, generation: int = 1, number: int = 0) -> PolicyStatus:
    ref = ObjectRef("Egress", "shop", f"p{number}")
    return PolicyStatus(ref, Stamp(f"uid-{number}", generation), True, (), counts)


class Replicas:
    """Any number of them on one API."""

    def __init__(self, clock: Now) -> None:
        self.api = WrittenApi()
        self._clock = clock

    def reports(self, identity: str) -> Reports:
        def now() -> datetime:
            return datetime.fromtimestamp(self._clock(), UTC)

        door = cast("KubeApi", self.api)
        return Reports(door, namespace="osm-system", identity=identity, clock=self._clock, now=now)


def scenario(test: Callable[[Replicas], Awaitable[None]]) -> None:
    async def run(clock: Now) -> None:
        await test(Replicas(clock))

    run_in_fake_time(run)


def test_counts_are_the_sum_of_all_replicas() -> None:
    async def test(it: Replicas) -> None:
        a, b, c = (it.reports(name) for name in "abc")
        await b.tell([_status(Counts(2, 1))])
        await c.tell([_status(Counts(4, 4, 1))])
        assert await a.listen()

        assert (Counts(16, 15, 1), ()) == a.total(_status(Counts(10, 10)))

    scenario(test)


def test_who_has_not_heard_of_the_present_generation_is_named() -> None:
    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell([_status(Counts(2, 2), generation=1)])
        await a.listen()

        assert (Counts(1, 1), ("b",)) == a.total(_status(Counts(1, 1), generation=2))

    scenario(test)


def test_a_report_is_written_when_it_says_something_new_and_every_ten_seconds() -> None:
    async def test(it: Replicas) -> None:
        b = it.reports("b")
        for _ in range(9):
            await b.tell([_status(Counts(1, 1))])
            await asyncio.sleep(1)
        assert 1 == len(it.api.writes)
        await b.tell([_status(Counts(2, 1))])
        assert 2 == len(it.api.writes)
        await asyncio.sleep(10)
        assert b.due
        await b.tell([_status(Counts(2, 1))])
        assert 3 == len(it.api.writes)

    scenario(test)


def test_nothing_new_is_no_news() -> None:
    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell([_status(Counts(1, 1))])
        assert await a.listen()
        await asyncio.sleep(10)
        await b.tell([_status(Counts(1, 1))])
        assert not await a.listen()

    scenario(test)


def test_a_replica_that_renews_no_more_is_not_counted_and_that_is_news() -> None:
    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell([_status(Counts(2, 2))])
        news = []
        for _ in range(20):
            news.append(await a.listen())
            await asyncio.sleep(2)

        assert [0, 16] == [second for second, said in enumerate(news) if said]
        assert (Counts(1, 1), ()) == a.total(_status(Counts(1, 1)))

    scenario(test)


def test_a_report_that_was_withdrawn_is_news() -> None:
    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell([_status(Counts(2, 2))])
        await a.listen()
        await b.withdraw()
        assert {} == it.api.leases
        assert await a.listen()
        assert b.due

        await b.withdraw()
        assert 2 == len(it.api.tries)

    scenario(test)


def test_what_a_dead_replica_leaves_behind_is_deleted(caplog: pytest.LogCaptureFixture) -> None:
    async def test(it: Replicas) -> None:
        a, b, c = (it.reports(name) for name in "abc")
        await b.tell([])
        await c.tell([])
        it.api.refusals["/leases/towpath-replica-b"] = KubeApiError(500, "broken")
        for _ in range(400):
            await a.listen()
            await asyncio.sleep(2)

        assert ["towpath-replica-b"] == list(it.api.leases)

    scenario(test)
    assert 1 == caplog.text.count("Lease osm-system/towpath-replica-b cannot be deleted: broken")


@pytest.mark.parametrize("text", ["", "x", "eJw=", "eJyLjgUAARUAuQ=="])
def test_a_report_that_cannot_be_read_counts_as_not_heard(text: str) -> None:
    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell([_status(Counts(2, 2))])
        it.api.leases["towpath-replica-b"]["metadata"]["annotations"][ANNOTATION] = text
        await a.listen()

        assert (Counts(1, 1), ("b",)) == a.total(_status(Counts(1, 1)))

    scenario(test)


def _many(count: int, acknowledged: int = 1) -> list[PolicyStatus]:
    return [_status(Counts(1, acknowledged), number=number) for number in range(count)]


def test_what_does_not_fit_into_one_lease_goes_on_in_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "LARGEST", 100)

    async def test(it: Replicas) -> None:
        a, b, c = (it.reports(name) for name in ("a", "b", "2-b"))
        await b.tell(_many(50))
        await c.tell(_many(1))
        await a.listen()
        pages = len(it.api.leases) - 1
        assert pages > 3
        assert 1 + pages == len({*it.api.leases})
        for status in _many(50)[1:]:
            assert (Counts(2, 2), ("2-b",)) == a.total(status)
        assert (Counts(3, 3), ()) == a.total(_many(1)[0])

        await asyncio.sleep(1)
        # The rest stays as it is: one page that says something new, and the first.
        before = len(it.api.writes)
        await b.tell([*_many(49), _status(Counts(1, 0), number=49)])
        assert 2 == len(it.api.writes) - before
        assert await a.listen()

        await asyncio.sleep(10)
        before = len(it.api.writes)
        await b.tell([*_many(49), _status(Counts(1, 0), number=49)])
        assert 1 == len(it.api.writes) - before

        await b.tell(_many(1))
        assert {"towpath-replica-b", "towpath-replica-2-b"} == {*it.api.leases}

    scenario(test)


def test_the_pages_of_a_dead_replica_do_not_count_and_go_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "LARGEST", 100)

    async def test(it: Replicas) -> None:
        a, b = it.reports("a"), it.reports("b")
        await b.tell(_many(50))
        # As long as the first is renewed the others count, though they say nothing new.
        for _ in range(100):
            await asyncio.sleep(10)
            await b.tell(_many(50))
            await a.listen()
        assert all(a.total(status) == (Counts(2, 2), ()) for status in _many(50))
        for _ in range(400):
            await asyncio.sleep(2)
            await a.listen()

        assert {} == it.api.leases
        assert (Counts(1, 1), ()) == a.total(_many(1)[0])

    scenario(test)
