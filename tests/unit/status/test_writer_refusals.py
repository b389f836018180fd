"""The writer and refusals: whom each concerns, and when it is tried again."""

from __future__ import annotations

import asyncio

import pytest

from support.status_writer import Written, scenario
from towpath.kubeapi.client import KubeApiError, NoRightError


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
