"""What a change costs the hub follows the change, not the mesh: values computed, resources encoded
and streams woken, in meshes of several sizes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from support.objects import egress, endpoint_slice, mesh_config, namespace, pod, port, service
from support.running_hub import RunningHub, running_hub
from towpath.encode.endpoints import load_assignment
from towpath.hub.late import SIDE_BY_SIDE, Late
from towpath.hub.stream import Stream
from towpath.hub.turns import Turns
from towpath.model.mesh import Object
from towpath.model.names import Account, Protocol
from towpath.model.snapshot import Snapshot
from towpath.model.types import ENDPOINTS

SIZES = [(10, 50), (100, 50), (10, 500)]
"""Sidecars and services: each of them alone is ten times as many."""

FIRST = "shop/s0|80"


@dataclass
class Encodings:
    """How many assignments were encoded."""

    count: int = 0


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> Encodings:
    counted = Encodings()

    def noted(*args: Any) -> Any:
        counted.count += 1
        return load_assignment(*args)

    monkeypatch.setattr("towpath.hub.compose.load_assignment", noted)
    return counted


def picture(sidecars: int, services: int) -> list[Object]:
    """Services of one port with a pod each, and sidecars of as many accounts."""
    objects: list[Object] = [namespace("shop"), mesh_config()]
    for number in range(services):
        address, cluster_ip = f"10.0.{number >> 8}.{number & 255}", f"10.96.{number >> 8}"
        objects += [
            service(f"s{number}", _port(80), ips=[f"{cluster_ip}.{number & 255}"]),
            endpoint_slice(f"s{number}", address),
            pod(f"behind-{number}", app=f"s{number}", addresses=[address]),
        ]
    return objects + [pod(f"p{n}", account=f"a{n}", app="client") for n in range(sidecars)]


def _port(number: int) -> Any:
    return port(number, Protocol.TCP)


async def woken(streams: list[Stream]) -> int:
    """How many readers have something to take; they take it."""
    for _ in range(10):
        await asyncio.sleep(0)
    ready = [stream for stream in streams if not stream._taken]
    for stream in ready:
        await stream.next()
    return len(ready)


@dataclass(frozen=True)
class Cost:
    """Of one change."""

    computed: int
    encoded: int
    woken: int


async def cost_of(
    running: RunningHub, streams: list[Stream], encodings: Encodings, change: Object
) -> Cost:
    computed, encoded = running.hub.query_counts.computed, encodings.count
    running.store.apply(change)
    await running.published()
    return Cost(
        running.hub.query_counts.computed - computed,
        encodings.count - encoded,
        await woken(streams),
    )


ACCOUNTS = 5
CHANGES: dict[str, Object] = {
    "switch": mesh_config(egress=True, policies=True),
    "service port": service("s0", _port(80), _port(81), ips=["10.96.0.0"]),
    "policy": egress("policy", (80, Protocol.HTTP), sources=[Account("shop", "a0")]),
    "policy of another account": egress(
        "policy", (80, Protocol.HTTP), sources=[Account("shop", "nobody")]
    ),
}
WOKEN = {"switch": 1.0, "service port": 1.0, "policy": 1 / ACCOUNTS, "policy of another account": 0}
"""Which part of all sidecars are told."""


@pytest.mark.parametrize("change", CHANGES)
async def test_sidecars_of_one_account_cost_no_more_than_one_of_them(
    encodings: Encodings, change: str
) -> None:
    counts, costs = (ACCOUNTS, 20 * ACCOUNTS), []
    for count in counts:
        async with running_hub() as running:
            sidecars = [
                pod(f"p{n}", account=f"a{n % ACCOUNTS}", app="client") for n in range(count)
            ]
            objects = (*picture(0, 10), mesh_config(policies=True), *sidecars)
            await running.holds(*objects)
            streams = await attached(running, count)
            costs.append(await cost_of(running, streams, encodings, CHANGES[change]))

    assert [WOKEN[change] * count for count in counts] == [cost.woken for cost in costs]
    assert costs[0].computed == costs[1].computed
    assert costs[0].encoded == costs[1].encoded


async def attached(running: RunningHub, count: int) -> list[Stream]:
    """Streams that have all of theirs, the first of which alone asks for the first service."""
    streams = [
        running.attach(f"p{n}", endpoints=frozenset({FIRST} if n == 0 else {"shop/s1|80"}))
        for n in range(count)
    ]
    for stream in streams:
        await stream.next()
    return streams


async def test_one_endpoint_costs_as_much_in_any_mesh(encodings: Encodings) -> None:
    costs = []
    for sidecars, services in SIZES:
        async with running_hub() as running:
            await running.holds(*picture(sidecars, services))
            streams = await attached(running, sidecars)
            gone = endpoint_slice("s0")
            costs.append(await cost_of(running, streams, encodings, gone))

            assert FIRST in streams[1].snapshot.of(ENDPOINTS)  # type: ignore[union-attr]

    assert [costs[0]] * len(SIZES) == costs
    assert (1, 1) == (costs[0].encoded, costs[0].woken)
    assert costs[0].computed < 10


async def test_who_asks_for_all_endpoints_is_told_of_each(running: RunningHub) -> None:
    await running.holds(*picture(2, 5))
    streams = [running.attach("p0"), running.attach("p1", endpoints=frozenset())]
    for stream in streams:
        await stream.next()
    running.store.apply(endpoint_slice("s0"))
    await running.published()

    assert 1 == await woken(streams)


async def test_who_asks_for_more_has_the_newest_before_that(running: RunningHub) -> None:
    await running.holds(*picture(1, 5))
    stream = running.attach("p0", endpoints=frozenset())
    before, _ = await stream.next()
    running.store.apply(endpoint_slice("s0"))
    await running.published()
    newest = stream.overtaken()

    assert newest is not None
    assert newest.version == before.version
    assert newest.of(ENDPOINTS)[FIRST] != before.of(ENDPOINTS)[FIRST]
    assert stream.overtaken() is None


async def test_a_switch_that_returns_leaves_endpoints_that_are_newer(running: RunningHub) -> None:
    await running.holds(*picture(1, 5))
    stream = running.attach("p0", endpoints=frozenset())
    before, _ = await stream.next()
    running.store.apply(mesh_config(egress=True))
    running.store.apply(endpoint_slice("s0"))
    await running.published()
    after, _ = await stream.next()

    assert after.version != before.version
    assert after.of(ENDPOINTS)[FIRST] != before.of(ENDPOINTS)[FIRST]


async def test_streams_that_never_look_keep_only_so_many_old_endpoints(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towpath.hub.subscriptions.MOST_OLD", 4)
    sidecars, taken = 20, dict[Stream, Snapshot]()
    await running.holds(*picture(sidecars, 5))
    for number in range(sidecars):
        stream = running.attach(f"p{number}", endpoints=frozenset())
        taken[stream], _ = await stream.next()
        running.store.apply(endpoint_slice("s0", *(["10.0.0.0"] if number % 2 else [])))
        await running.published()
        for one in [one for one in taken if not one._taken]:
            taken[one], _ = await one.next()

    assert len({id(snapshot.of(ENDPOINTS)) for snapshot in taken.values()}) < sidecars / 2


@dataclass
class Tellings:
    """How often a stream was told of something, and a group's turn was over too early."""

    pushed: int = 0
    unfinished: int = 0


@pytest.fixture
def tellings(monkeypatch: pytest.MonkeyPatch) -> Tellings:
    counted = Tellings()
    push, begin = Stream.push, Turns.begin

    def pushed(*args: Any) -> None:
        counted.pushed += 1
        push(*args)

    def begun(*args: Any, **named: Any) -> bool:
        finished = begin(*args, **named)
        counted.unfinished += not finished
        return finished

    monkeypatch.setattr(Stream, "push", pushed)
    monkeypatch.setattr(Turns, "begin", begun)
    return counted


async def test_what_takes_long_is_asked_for_once_and_told_once(
    monkeypatch: pytest.MonkeyPatch, tellings: Tellings
) -> None:
    """A Service port is in a listener that all groups share: it is encoded and compared in a
    thread, and the endpoints of the port that is gone are told with the rest.
    """
    sidecars = 20
    monkeypatch.setattr("towpath.hub.late.PATIENCE_SECONDS", 60.0)
    async with running_hub() as running:
        await running.holds(*picture(sidecars, 10))
        await attached(running, sidecars)
        monkeypatch.setattr("towpath.hub.queries.SMALL_WORK", 0)
        tellings.pushed = tellings.unfinished = 0
        running.store.apply(service("s0", _port(81), ips=["10.96.0.0"]))
        await running.published()
        while not running.hub._publisher.whole:
            await asyncio.sleep(0.001)

    assert (sidecars, 1) == (tellings.pushed, tellings.unfinished)


async def test_what_nobody_waits_for_is_finished_by_few_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished, under_way, most = list[int](), 0, 0
    monkeypatch.setattr("towpath.hub.late.PATIENCE_SECONDS", 0.0)

    async def finish(number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        finished.append(number)

    async with Late(asyncio.get_running_loop().time) as late:
        for number in range(5 * SIDE_BY_SIDE):
            await late.add(partial(finish, number))
        assert [] == finished

    assert list(range(5 * SIDE_BY_SIDE)) == finished
    assert SIDE_BY_SIDE == most
