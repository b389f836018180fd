"""The writer's pace: what it writes, how much at once, and what it does about refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from support.fake_time import Clock, run_in_fake_time
from support.objects import egress, mesh_of
from support.written_api import WrittenApi
from towpath.hub.hub import Hub
from towpath.hub.settle import Settle
from towpath.hub.status import Counts, PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError, NoRightError
from towpath.kubeapi.lease import Lease
from towpath.model.mesh import Mesh
from towpath.model.names import ObjectRef, Stamp
from towpath.model.problem import Problem, Reason
from towpath.status import StatusWriter
from towpath.status.reports import Reports
from towpath.telemetry.metrics import Metrics


@dataclass
class Given:
    """Plays the hub and the lease: what there is to write, and whether it is ours to write."""

    statuses: dict[str, PolicyStatus] = field(default_factory=dict)
    told: list[Problem] = field(default_factory=list)
    held: bool = True
    ready: bool = True
    computed: int = 0

    @property
    def mesh(self) -> Mesh:
        return mesh_of(
            *(replace(egress(name), stamp=status.stamp) for name, status in self.statuses.items())
        )

    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.told)

    def policies(self) -> tuple[PolicyStatus, ...]:
        self.computed += 1
        return tuple(self.statuses.values())

    async def run(self) -> None:
        await asyncio.Event().wait()

    def policy(self, name: str, counts: Counts = Counts(), *, accepted: bool = True) -> None:  # noqa: B008
        ref = ObjectRef("Egress", "shop", name)
        self.statuses[name] = PolicyStatus(ref, Stamp(f"uid-{name}", 1), accepted, (), counts)

    def problem(self, name: str, message: str = "gone") -> None:
        ref = ObjectRef("Egress", "shop", name)
        self.told.append(Problem(ref, "spec.matches", Reason.MISSING, message))


@dataclass
class Written:
    """A writer at work on `given`, and what reached the API."""

    given: Given
    api: WrittenApi
    news: Settle
    metrics: Metrics

    async def after(self, seconds: float) -> list[str]:
        """Tell it of news, wait, and name the objects whose status was written meanwhile."""
        before = len(self.api.written())
        self.news.touch()
        await asyncio.sleep(seconds)
        return [body["metadata"]["name"] for body in self.api.written()[before:]]

    def counted(self, kind: str, result: str) -> float | None:
        """The metric of writes."""
        labels = {"kind": kind, "result": result}
        return self.metrics.registry.get_sample_value("towpath_status_writes_total", labels)

    def conditions(self, name: str) -> dict[str, str]:
        """What was written last of a policy's conditions."""
        bodies = [b for b in self.api.written() if b["metadata"]["name"] == name]
        return {c["type"]: c["status"] for c in bodies[-1]["status"]["conditions"]}


@asynccontextmanager
async def writing(clock: Clock, given: Given, api: WrittenApi) -> AsyncIterator[Written]:
    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    news, metrics = Settle(quiet=0.5, longest=2.0, clock=clock), Metrics()
    door = cast("KubeApi", api)
    writer = StatusWriter(
        cast("Hub", given),
        door,
        lease=cast("Lease", given),
        reports=Reports(door, namespace="osm-system", identity="me", clock=clock, now=now),
        news=news,
        identity="me",
        metrics=metrics,
        clock=clock,
        now=now,
    )
    running = asyncio.create_task(writer.run())
    try:
        yield Written(given, api, news, metrics)
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.wait([running])


def scenario(
    test: Callable[[Written], Any], *, given: Given | None = None, api: WrittenApi | None = None
) -> None:
    """Run *test* against a writer, in a time of its own."""

    async def run(clock: Clock) -> None:
        async with writing(clock, given or Given(), api or WrittenApi()) as written:
            await test(written)

    run_in_fake_time(run)


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


def test_one_that_an_admission_denies_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    denied = KubeApiError(403, 'admission webhook "x" denied the request: no')

    async def test(it: Written) -> None:
        it.api.refusals["/egresses/bad/"] = denied
        it.given.policy("bad")
        it.given.policy("good")
        assert ["good"] == await it.after(1)
        tries = len(it.api.tries)
        await asyncio.sleep(60)
        it.given.policy("good", accepted=False)
        assert ["good"] == await it.after(1)
        assert 3 <= len(it.api.tries) - tries <= 8

        it.api.refusals.clear()
        await asyncio.sleep(60)
        assert {"Accepted": "True", "Programmed": "True"} == it.conditions("bad")

    scenario(test)
    assert 1 == caplog.text.count("denied the request")


def test_without_the_right_the_others_are_written_and_what_to_grant_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = NoRightError(403, 'egresses is forbidden: User "x" cannot patch')

    async def test(it: Written) -> None:
        it.api.refusals["/egresses/"] = refused
        for name in "abc":
            it.given.policy(name)
        it.given.problem("a")
        await it.after(1)
        assert 1 == sum("/egresses/" in path for path in it.api.tries)
        assert 1 == len(it.api.written("/events"))
        await asyncio.sleep(300)
        assert sum("/egresses/" in path for path in it.api.tries) <= 12
        it.api.refusals.clear()
        await asyncio.sleep(70)
        assert {"a", "b", "c"} == {b["metadata"]["name"] for b in it.api.written()}

    scenario(test)
    assert 1 == caplog.text.count("grant by RBAC")
    assert 'resources: ["egresses/status"], verbs: [patch]' in caplog.text


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_document_that_is_not_taken_is_not_tried_again(status: int) -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/a/"] = KubeApiError(status, "no such field")
        it.given.policy("a")
        for _ in range(30):
            await it.after(1)
        assert 1 == len(it.api.tries)

    scenario(test)


def test_a_deleted_policy_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/a/"] = KubeApiError(404, 'egresses "a" not found')
        it.given.policy("a")
        it.given.policy("b")
        assert ["b"] == await it.after(1)

    scenario(test)
    assert "" == caplog.text


def test_a_kind_without_a_status_is_tried_again_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/"] = KubeApiError(404, "could not find the resource")
        for name in "abc":
            it.given.policy(name)
        await it.after(600)
        assert len(it.api.tries) <= 20
        it.api.refusals.clear()
        await asyncio.sleep(70)
        assert 3 == len(it.api.written())

    scenario(test)
    assert 1 == caplog.text.count("are the CustomResourceDefinitions those of this version?")


def test_one_that_was_just_made_anew_is_tried_again() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/a/"] = KubeApiError(409, "the uid is another")
        it.given.policy("a")
        assert [] == await it.after(1)
        it.api.refusals.clear()
        await asyncio.sleep(5)
        assert 1 == len(it.api.written())

    scenario(test)


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/status"] = KubeApiError(429, "busy", retry_after_s=30)
        it.given.policy("a")
        await it.after(1)
        it.api.refusals.clear()
        assert [] == await it.after(25)
        await asyncio.sleep(10)
        assert 1 == len(it.api.written())

    scenario(test)


def test_a_server_that_is_away_is_asked_less_and_less(caplog: pytest.LogCaptureFixture) -> None:
    async def test(it: Written) -> None:
        it.api.refusals[""] = KubeApiError(0, "nobody answers")
        it.given.policy("a")
        await it.after(600)
        assert len(it.api.reads) <= 20
        it.api.refusals.clear()
        await asyncio.sleep(70)
        assert 1 == len(it.api.written())

    scenario(test)
    assert 1 == caplog.text.count("nobody answers")


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


def test_an_event_that_is_there_already_is_no_failure() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/events"] = KubeApiError(409, "already exists")
        it.given.policy("a")
        it.given.problem("a")
        for _ in range(30):
            await it.after(1)
        assert 1 == it.counted("Event", "already_there")

    scenario(test)


def test_an_event_that_is_refused_in_a_namespace_on_its_way_out_holds_up_no_other() -> None:
    async def test(it: Written) -> None:
        text = "forbidden: unable to create new content in namespace shop because it is terminated"
        it.given.policy("a")
        it.given.problem("a")
        it.api.refusals["/events"] = KubeApiError(403, text)
        await it.after(1)
        it.given.problem("a", "another")
        it.api.refusals.clear()
        await it.after(1)
        assert ["spec.matches: another; spec.matches: gone"] == [
            body["note"] for body in it.api.written("/events")
        ]

    scenario(test)


def test_metrics_say_who_writes_and_how_it_went() -> None:
    async def test(it: Written) -> None:
        it.api.refusals["/egresses/bad/"] = KubeApiError(500, "x")
        it.given.policy("bad")
        it.given.policy("good")
        await it.after(0.1)
        assert (1, 1) == (it.counted("Egress", "written"), it.counted("Egress", "failed"))
        writes = it.metrics.registry.get_sample_value
        assert 1 == writes("towpath_status_writer")
        it.given.held = False
        assert 0 == writes("towpath_status_writer")

    scenario(test)
