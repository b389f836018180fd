"""Whatever a server does wrong, in the end the store equals it, at a bounded number of requests."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from support.fake_api import (
    FakeApi,
    Fault,
    body,
    cut,
    error_event,
    fake_api,
    line,
    refuse,
    silent,
)
from support.kube_store import Follow
from support.samples import sample
from towpath.model.names import Kind
from towpath.model.workloads import ServiceAccount
from towpath.sources.decode import _TABLE, Decoded, _core, decode_json, structs
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import NameRule

# The scripted server is stopped amid connections, and its half of some is left to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

LABEL = {"openservicemesh.io/monitored-by": "osm"}


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Nothing of that is left for the tests of other modules, where it would be a fault."""
    yield
    gc.collect()


def fill(api: FakeApi, count: int = 3) -> None:
    for number in range(count):
        api.put("Namespace", f"n{number}", metadata={"labels": LABEL})
    api.put("Egress", "one", "n0", spec={"hosts": ["a.test"]})


async def test_a_fault_of_ours_that_nobody_foresaw_is_counted_and_got_over(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    decodes = iter([ZeroDivisionError, RecursionError])

    def decode(*arguments: Any) -> Decoded:
        for error in decodes:
            raise error
        return decode_json(*arguments)

    monkeypatch.setattr("towpath.sources.kube.reflector.decode_json", decode)
    async with fake_api() as api:
        fill(api)
        async with follow(api) as held:
            await held.until(held.equal)

            assert 2 == sample(held.metrics, "towpath_task_failures_total", task="reflector")
            assert 0 == held.stale()


@pytest.mark.parametrize("streamed", [True, False])
async def test_one_at_a_single_object_costs_no_other(
    follow: Follow,
    streamed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(seen: structs.Plain, findings: Findings) -> ServiceAccount:
        if seen.metadata and (seen.metadata.labels or {}).get("odd"):
            raise ZeroDivisionError
        return ServiceAccount(findings.ref.namespace, findings.ref.name)

    row = _core("v1", NameRule.SUBDOMAIN, structs.Plain, fail)
    monkeypatch.setitem(_TABLE, Kind.SERVICE_ACCOUNT, row)
    async with fake_api(streamed_lists=streamed) as api:
        for name in ("a", "b", "c"):
            labels = {"odd": "1"} if name == "b" else {}
            api.put("ServiceAccount", name, "shop", metadata={"labels": labels})
        async with follow(api) as held:
            await held.until(lambda: {"a", "c"} == held.names(Kind.SERVICE_ACCOUNT))
            assert 1 == len(held.problems())
            lists = api.lists("ServiceAccount")
            # What it was must not stay, and the kind is followed on.
            api.put("ServiceAccount", "a", "shop", metadata={"labels": {"odd": "1"}})
            api.put("ServiceAccount", "d", "shop")
            await held.until(lambda: {"c", "d"} == held.names(Kind.SERVICE_ACCOUNT))

            assert 2 == len(held.problems())
            assert 0 == sample(held.metrics, "towpath_task_failures_total", task="reflector")
            assert lists == api.lists("ServiceAccount")


@pytest.mark.parametrize("streamed", [True, False])
async def test_objects_are_listed_and_followed(follow: Follow, streamed: bool) -> None:  # noqa: FBT001
    async with fake_api(streamed_lists=streamed) as api:
        fill(api)
        async with follow(api) as held:
            await held.until(held.equal)
            api.put("Namespace", "n0")
            api.delete("Namespace", "n1")
            api.put("Namespace", "n9", metadata={"labels": LABEL})
            await held.until(held.equal)

            assert held.stale() == 0


async def test_a_list_of_many_pages_is_whole(follow: Follow) -> None:
    async with fake_api(streamed_lists=False) as api:
        fill(api, count=1201)
        async with follow(api) as held:
            await held.until(held.equal)
            pages = [q for q in api.asked("Namespace") if "watch" not in q]

            assert [None, "500", "1000"] == [query.get("continue") for query in pages]


@pytest.mark.parametrize(
    "gone",
    [error_event(410, "too old"), refuse(410, "too old")],
    ids=["in the stream", "as the answer"],
)
async def test_what_happened_before_a_410_is_found_by_listing_again(
    follow: Follow, gone: Fault
) -> None:
    async with fake_api() as api:
        fill(api)
        async with follow(api) as held:
            await held.until(held.equal)
            held.mesh()
            await api.stop()
            api.delete("Namespace", "n0")
            api.put("Namespace", "new")
            api.faults["Namespace"] += [gone]
            await api.start()
            await held.until(held.equal)

            assert (2, 1) == (api.lists("Namespace"), api.lists("Egress"))


async def test_a_list_that_says_nothing_new_touches_nothing(follow: Follow) -> None:
    async with fake_api() as api:
        fill(api)
        api.put("Service", "broken", "n0", spec={"type": "Odd"})
        async with follow(api) as held:
            await held.until(lambda: held.equal() and held.stale() == 0)
            before = held.mesh()
            await api.stop()
            for kind in ("Namespace", "Service", "Egress"):
                api.faults[kind] += [refuse(410)]
            await api.start()
            await held.until(lambda: api.lists("Service") == 2 and held.stale() == 0)
            after, touched = held.store.drain()

            assert before is after
            assert frozenset() == touched


@pytest.mark.parametrize("times", [1, 2])
async def test_pages_that_expire_are_listed_again(follow: Follow, times: int) -> None:
    async with fake_api(streamed_lists=False) as api:
        fill(api, count=700)
        expired = refuse(410, "the provided continue parameter is too old")
        for _ in range(times):
            api.faults["Namespace"] += [refuse(422), api.answer, expired, expired][: 2 + times]
        async with follow(api) as held:
            await held.until(held.equal)


async def test_a_watch_cut_off_in_an_event_goes_on_where_it_was(follow: Follow) -> None:
    async with fake_api() as api:
        fill(api)
        async with follow(api) as held:
            await held.until(held.equal)
            await api.stop()
            api.put("Namespace", "late")
            whole = line("ADDED", api.objects["Namespace", "", "late"])
            api.faults["Namespace"] += [cut(whole[:30]), cut(whole, whole[:30]), cut()]
            api.faults["Egress"] += [body('{"type":"ADDED","obj')]
            await api.start()
            api.put("Namespace", "later")
            await held.until(lambda: held.equal() and held.stale() == 0)

            assert (1, 1) == (api.lists("Namespace"), api.lists("Egress"))


async def test_a_first_list_that_is_cut_off_is_not_published(follow: Follow) -> None:
    async with fake_api() as api:
        fill(api)
        one = line("ADDED", api.objects["Namespace", "", "n0"])
        api.standing["Namespace"] = cut(one)
        async with follow(api) as held:
            await held.until(lambda: len(api.asked("Namespace")) > 3, "asked again")
            assert not held.store.synced
            assert set() == held.names(Kind.NAMESPACE)

            del api.standing["Namespace"]
            await held.until(held.equal)


@pytest.mark.parametrize("status", [500, 503, 429, 401, 504])
async def test_an_error_is_tried_again(follow: Follow, status: int) -> None:
    async with fake_api() as api:
        fill(api)
        api.faults["Namespace"] += [refuse(status)] * 3
        async with follow(api) as held:
            await held.until(held.equal)

            assert 4 == len(api.asked("Namespace"))


async def test_a_server_that_asks_for_patience_gets_it(follow: Follow) -> None:
    async with fake_api() as api:
        api.faults["Namespace"] += [refuse(429, **{"Retry-After": "1"})]
        async with follow(api) as held:
            await held.until(held.equal)
            times = [
                at
                for at, (path, _) in zip(api.seconds, api.requests, strict=True)
                if path == "/api/v1/namespaces"
            ]

            assert times[1] - times[0] >= 1


async def test_a_watch_without_a_sign_of_life_is_given_up(follow: Follow) -> None:
    async with fake_api() as api:
        fill(api)
        async with follow(api, idle_s=0.2) as held:
            await held.until(held.equal)
            await api.stop()
            api.faults["Namespace"] += [silent()]
            await api.start()
            await held.until(lambda: not api.faults["Namespace"], "silent")
            api.put("Namespace", "unheard")
            await held.until(held.equal)

            assert 1 == api.lists("Namespace")


NONSENSE = [
    "",
    "<html>",
    "[]",
    "{}",
    "null",
    "7",
    '{"items":[]}',
    '{"metadata":{},"items":[]}',
    '{"metadata":{"resourceVersion":""},"items":[]}',
    '{"metadata":{"resourceVersion":"1"},"items":{}}',
    '{"metadata":{"resourceVersion":"1"},"items":[7]}',
    '{"type":"ADDED"}',
    '{"type":"ADDED","object":null}',
    '{"type":"ADDED","object":{}}',
    '{"type":"ADDED","object":{"metadata":{"name":"x"}}}',
    '{"type":"DELETED","object":7}',
    '{"type":"BOOKMARK","object":{}}',
    '{"type":"ERROR","object":{}}',
    '{"type":"ERROR","object":"x"}',
    '{"type":"SOMETHING NEW","object":{}}',
    '{"type":"ADDED","object":{"metadata":' + "[" * 2000,
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("streamed", [True, False])
async def test_nonsense_is_survived(follow: Follow, text: str, streamed: bool) -> None:  # noqa: FBT001
    """In the list, in the watch that begins with it, and in a later watch."""
    async with fake_api(streamed_lists=streamed) as api:
        fill(api)
        api.faults["Namespace"] += [body(text), body(text)]
        async with follow(api) as held:
            await held.until(held.equal)
            await api.stop()
            api.faults["Namespace"] += [body(text)]
            api.faults["Egress"] += [body(text), body(text)]
            api.delete("Namespace", "n2")
            await api.start()
            await held.until(lambda: held.equal() and held.stale() == 0)


async def test_an_event_may_be_long_and_come_in_crumbs(follow: Follow) -> None:
    async def crumbs(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        api.put("Namespace", "big", metadata={"annotations": {"text": "x" * 6_000_000}})
        whole = line("ADDED", api.objects["Namespace", "", "big"])
        for at in range(0, 200, 7):
            await stream.write(whole[at : at + 7])
            await asyncio.sleep(0)
        await stream.write(whole[203:])
        await asyncio.Event().wait()
        return stream

    async with fake_api() as api:
        fill(api)
        async with follow(api) as held:
            await held.until(held.equal)
            await api.stop()
            api.faults["Namespace"] += [crumbs]
            await api.start()
            await held.until(lambda: "big" in held.names(Kind.NAMESPACE))

            assert 1 == api.lists("Namespace")


@pytest.mark.parametrize(
    "cannot",
    [
        refuse(400),
        refuse(403),
        refuse(422),
        error_event(500, "the required storage feature RequestWatchProgress is disabled"),
    ],
    ids=["400", "403", "422", "in the stream"],
)
async def test_a_server_that_cannot_stream_a_list_is_asked_for_pages_at_once(
    follow: Follow, cannot: Fault
) -> None:
    async with fake_api(streamed_lists=False) as api:
        fill(api)
        api.faults["Namespace"] += [cannot]
        async with follow(api, first_pause_s=60, longest_pause_s=60) as held:
            await held.until(held.equal)
            await held.until(lambda: len(api.asked("Namespace")) == 3, "list and watch")


async def test_a_list_with_null_for_its_items_is_an_empty_one(follow: Follow) -> None:
    nothing = '{"metadata": {"resourceVersion": "1"}, "items": null}'
    async with fake_api(streamed_lists=False) as api:
        fill(api)
        api.faults["Egress"] += [refuse(422), body(nothing)]
        async with follow(api, first_pause_s=60, longest_pause_s=60) as held:
            await held.until(held.equal)

            assert not api.faults["Egress"]


async def test_a_busy_server_is_not_taken_for_one_that_cannot_stream(follow: Follow) -> None:
    async with fake_api() as api:
        api.faults["Namespace"] += [refuse(503), refuse(429), refuse(500)]
        async with follow(api) as held:
            await held.until(held.equal)

            assert all("watch" in query for query in api.asked("Namespace"))


BOOKMARK = line("BOOKMARK", {"metadata": {"resourceVersion": "100"}}).decode()
MARKED = {"resourceVersion": "100", "annotations": {"k8s.io/initial-events-end": "true"}}
END = line("BOOKMARK", {"metadata": MARKED}).decode()
OBJECT = {"metadata": {"name": "n0", "resourceVersion": "100"}}
ALWAYS = {
    "ends": body(""),
    "ends after a bookmark": body(BOOKMARK),
    "ends after the list": body(END),
    "ends after an event": body(END + line("ADDED", OBJECT).decode()),
    "gone": error_event(410, "gone"),
    "refused": refuse(403),
    "broken": refuse(500),
    "busy": refuse(429, **{"Retry-After": "0"}),
    "unreadable": body("{"),
    "cut off": cut(b"{"),
    "another error": error_event(504, "timeout"),
}


@pytest.mark.parametrize("fault", ALWAYS.values(), ids=ALWAYS.keys())
async def test_no_answer_makes_it_spin(follow: Follow, fault: Fault) -> None:
    async with fake_api() as api:
        fill(api)
        async with follow(api, first_pause_s=0.05, longest_pause_s=0.2) as held:
            await held.until(held.equal)
            await api.stop()
            api.standing["Namespace"] = fault
            await api.start()
            before = len(api.asked("Namespace"))
            await asyncio.sleep(1.0)  # what is claimed is claimed of a span of time

            assert len(api.asked("Namespace")) - before <= 30

            del api.standing["Namespace"]
            await held.until(lambda: held.equal() and held.stale() == 0)


async def test_a_burst_across_kinds_while_watches_break_ends_equal(follow: Follow) -> None:
    async with fake_api() as api:
        fill(api, count=50)
        async with follow(api) as held:
            await held.until(held.equal)
            for number in range(1000):
                name = f"n{number % 70}"
                if number % 3 and ("Namespace", "", name) in api.objects:
                    api.delete("Namespace", name)
                else:
                    api.put("Namespace", name, metadata={"labels": LABEL if number % 2 else {}})
                api.put("Egress", f"e{number % 20}", name, spec={"hosts": [f"h{number}.test"]})
                if number % 250 == 100:
                    await api.stop()
                    api.faults["Egress"] += [cut(b"{"), refuse(500)]
                    await api.start()
                if number % 300 == 200:
                    api.forget()
                if number % 20 == 0:
                    await asyncio.sleep(0)
            await held.until(lambda: held.equal() and held.stale() == 0)


def test_the_scripted_server_sends_what_is_meant() -> None:
    assert {"type": "X", "object": {"a": 1}} == json.loads(line("X", {"a": 1}))
