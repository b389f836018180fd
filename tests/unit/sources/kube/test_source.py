"""What people are told when a kind cannot be followed, and what is served meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import pytest

from support.fake_api import FakeApi, body, fake_api, refuse
from support.kube_store import Follow, FollowedStore
from towpath.backoff import Backoff
from towpath.model.codes import Code
from towpath.model.names import Kind
from towpath.sources.kube.outage import Outage
from towpath.sources.kube.timing import Timing

FORBIDDEN = 'User "me" cannot list resource "egresses"'
NO_CRD = refuse(404, "404 page not found")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("towpath.sources")]


def policy(api: FakeApi) -> None:
    source = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    ports = [{"number": 80, "protocol": "http"}]
    spec = {"sources": [source], "hosts": ["a.test"], "ports": ports}
    api.put("Egress", "one", "shop", spec=spec)


async def quiet(held: FollowedStore) -> None:
    """All kinds are followed."""
    await held.until(lambda: held.equal() and held.stale() == 0, "followed")


async def test_an_outage_is_said_once_and_so_is_its_end(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with fake_api() as api:
        policy(api)
        async with follow(api) as held:
            await quiet(held)
            await api.stop()
            await held.until(lambda: held.stale() > 0.5, "stale")
            assert {"one"} == held.names(Kind.EGRESS)
            assert [] != [r for r in lines(caplog) if r.endswith("what was last seen is served")]

            await api.start()
            await quiet(held)
            await held.until(lambda: len(lines(caplog)) > 1, "said")

            said = lines(caplog)
            assert 2 == len(said), said
            assert said[1].startswith("the API server answers again, after ")
            assert 1 == api.lists("Egress")


async def test_a_server_that_is_back_is_found_by_all_kinds_at_once(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One kind asks again soon; each of the others would have paused for an hour, once it has
    found that the server does not answer.
    """
    pauses = Counter[int]()

    def pause(backoff: Backoff) -> float:
        pauses[id(backoff)] += 1
        first = id(backoff) == next(iter(pauses))
        return 0.05 if first or pauses[id(backoff)] == 1 else 3600.0

    async with fake_api() as api, follow(api) as held:
        await quiet(held)
        monkeypatch.setattr(Backoff, "next", pause)
        await api.stop()
        kinds = len({path for path, _ in api.requests})
        await held.until(lambda: sum(n > 1 for n in pauses.values()) == kinds, "paused")
        await api.start()
        await held.until(lambda: held.stale() == 0, "followed")


async def test_an_idle_outage_costs_few_attempts(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, pauses = Timing(), Counter[int]()
    as_it_is = Backoff.next

    def pause(backoff: Backoff) -> float:
        pauses[id(backoff)] += 1
        return as_it_is(backoff)

    async with (
        fake_api() as api,
        follow(
            api, first_pause_s=default.first_pause_s, longest_pause_s=default.longest_pause_s
        ) as held,
    ):
        await quiet(held)
        monkeypatch.setattr(Backoff, "next", pause)
        await api.stop()
        await held.until(lambda: held.stale() > 3, "stale")

    # Pauses double from 0.1 s at least: five are over after 3 s.
    assert all(2 <= count <= 8 for count in pauses.values()), pauses
    assert pauses


async def test_a_watch_that_ends_in_between_is_no_outage(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with fake_api() as api:
        policy(api)
        api.faults["Egress"] += [api.answer, body("")]
        api.faults["Pod"] += [body("")]
        async with follow(api) as held:
            await quiet(held)
            assert [] == lines(caplog)


async def test_a_kind_that_is_not_installed_holds_up_nothing_and_is_found_later(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_api() as api:
        api.standing["Egress"] = NO_CRD
        async with follow(api) as held:
            await quiet(held)
            what = "CustomResourceDefinition egresses.policy.openservicemesh.io"
            said = f"{what}: Missing: is not installed, so there is no Egress"
            code = Code.MISSING_DEFINITION
            assert [f"{code.severity}: {said} [{code}]"] == held.problems()
            changes = held.changes
            asked = len(api.asked("Egress"))
            await held.until(lambda: len(api.asked("Egress")) > asked + 3, "asked again")
            assert changes == held.changes

            policy(api)
            del api.standing["Egress"]
            await quiet(held)
            assert [] == held.problems()
            assert [] == lines(caplog)


async def test_a_kind_that_vanishes_is_stale_not_empty(follow: Follow) -> None:
    async with fake_api() as api:
        policy(api)
        async with follow(api) as held:
            await quiet(held)
            await api.stop()
            api.standing["Egress"] = NO_CRD
            await api.start()
            await held.until(held.problems, "a problem")
            assert {"one"} == held.names(Kind.EGRESS)
            assert held.stale() > 0
            assert "is gone; each Egress last seen is served" in held.problems()[0]

            api.delete("Egress", "one", "shop")
            api.standing.clear()
            await quiet(held)
            assert [] == held.problems()


async def test_what_answers_404_to_everything_is_not_taken_for_an_empty_cluster(
    follow: Follow,
) -> None:
    async with fake_api() as api:
        for kind in Kind:
            api.standing[kind.value] = NO_CRD
        async with follow(api) as held:
            await held.until(lambda: len(api.requests) > 40, "asked")

            assert not held.store.synced


async def test_a_refusal_names_what_to_grant_once_and_its_end_is_noticed(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_api() as api:
        policy(api)
        api.standing["Egress"] = refuse(403, FORBIDDEN)
        api.standing["MeshConfig"] = refuse(403, "no")
        async with follow(api) as held:
            await held.until(lambda: len(api.asked("Egress")) > 6, "asked")
            assert not held.store.synced
            what = 'apiGroups: ["policy.openservicemesh.io"], resources: ["egresses"]'
            text = f"{FORBIDDEN} (grant by RBAC: {what}, verbs: [list, watch])"
            assert 1 == lines(caplog).count(f"Egress cannot be watched: {text}")
            assert any("no (grant by RBAC in namespace osm-system: " in x for x in lines(caplog))
            assert 2 == len(lines(caplog))
            assert any(text in problem for problem in held.problems())
            assert {Code.FORBIDDEN_KIND} == {one.code for one in held.mesh().problems}

            api.standing.clear()
            await quiet(held)
            assert [] == held.problems()


async def test_rights_that_are_taken_away_leave_what_was_seen(follow: Follow) -> None:
    async with fake_api() as api:
        policy(api)
        async with follow(api) as held:
            await quiet(held)
            await api.stop()
            api.standing["Egress"] = refuse(403, FORBIDDEN)
            await api.start()
            await held.until(held.problems, "a problem")

            assert {"one"} == held.names(Kind.EGRESS)


async def test_what_is_wrong_with_an_object_goes_with_it(follow: Follow) -> None:
    async with fake_api() as api:
        api.put("Service", "odd", "shop", spec={"type": "Odd"})
        api.put("Service", "odd2", "shop", spec={"type": "Odd"})
        async with follow(api) as held:
            await held.until(lambda: len(held.problems()) == 2, "two problems")
            api.put("Service", "odd", "shop", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1"})
            await held.until(lambda: len(held.problems()) == 1, "one problem")
            await api.stop()
            api.delete("Service", "odd2", "shop")
            api.faults["Service"] += [refuse(410)]
            await api.start()
            await held.until(lambda: held.problems() == [] and held.equal(), "no problem")


async def test_a_pause_is_cut_short_only_by_an_answer_after_an_outage() -> None:
    outage = Outage(asyncio.get_running_loop().time)
    assert not await outage.rest(0.001, until_it_answers=True)

    outage.away(Kind.POD, "why")
    resting = asyncio.create_task(outage.rest(60, until_it_answers=True))
    await asyncio.sleep(0)
    outage.answered(Kind.SERVICE)
    await asyncio.sleep(0)
    assert not resting.done()
    outage.answered(Kind.POD)
    assert await resting


def test_a_server_may_ask_for_a_longer_pause_but_not_for_any() -> None:
    assert [20, 60] == [Timing().asked_s(seconds) for seconds in (20, 10_000)]


async def test_a_server_that_starts_and_has_no_rights_loaded_yet_is_no_news(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses all for a moment: nobody is told to grant anything, and nothing is relisted."""
    caplog.set_level(logging.INFO)
    async with fake_api() as api:
        policy(api)
        async with follow(api, lenient_s=60.0) as held:
            await quiet(held)
            await api.stop()
            for kind in Kind:
                api.faults[kind.value] += [refuse(403, FORBIDDEN)] * 2 + [refuse(429, "later")]
            await api.start()
            await held.until(lambda: not any(api.faults.values()), "refused")
            await quiet(held)

            assert [1] * len(Kind) == [api.lists(kind.value) for kind in Kind]
            assert [] == held.problems()
            assert not any("cannot be watched" in line for line in lines(caplog))
