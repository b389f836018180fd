"""Hub: a change reaches the streams that it concerns, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from support.fake_time import run_in_fake_time
from support.objects import endpoint_slice, mesh_config, namespace, pod, port, service
from support.resources import snapshot as made
from support.running_hub import RunningHub, newest, running_hub
from support.samples import sample
from towpath.hub import followers
from towpath.hub.stream import Stream
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Kind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SHORT_NAMES
from towpath.rollout.records import State
from towpath.settings import RolloutSettings

CURL = SidecarId(pod="curl", namespace="shop")
SMALL_MESH = (
    namespace(),
    mesh_config(),
    service("web"),
    endpoint_slice("web", "10.0.0.1"),
    pod("web-1"),
    pod("behind", app="behind", addresses=["10.0.0.1", "10.0.0.2"]),
    pod("curl", app="curl"),
)


async def test_a_hub_is_not_ready_and_publishes_nothing_before_every_kind_is_listed(
    running: RunningHub,
) -> None:
    stream = running.attach("curl")
    for obj in SMALL_MESH:
        running.store.apply(obj)
    for kind in set(Kind) - {Kind.POD}:
        running.store.listed(kind)
    assert await newest(stream) is None
    assert not running.hub.ready

    running.store.listed(Kind.POD)
    await running.published()

    assert running.hub.ready
    assert await newest(stream) is not None


async def test_a_stream_of_a_known_pod_has_its_snapshot_at_once(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH)

    stream = running.attach("curl")

    assert running.hub.snapshot(ClientKind.ENVOY, CURL) == await newest(stream)
    assert _state(stream) is State.SERVING
    assert Account("shop", "default") == stream.record.account


async def test_a_stream_waits_for_its_pod_and_is_served_when_it_appears(
    running: RunningHub,
) -> None:
    await running.holds(*SMALL_MESH)
    stream = running.attach("late")
    assert await newest(stream) is None
    assert _state(stream) is State.WAITING_FOR_POD

    running.store.apply(pod("late", app="late", account="buyer"))
    await running.published()

    assert await newest(stream) is not None
    assert _state(stream) is State.SERVING
    assert Account("shop", "buyer") == stream.record.account


async def test_the_stream_of_a_deleted_pod_keeps_its_snapshot_until_the_pod_is_back(
    running: RunningHub,
) -> None:
    await running.holds(*SMALL_MESH)
    stream = running.attach("curl")
    held = await _taken(stream)

    running.store.delete(Kind.POD, "shop", "curl")
    running.store.apply(mesh_config(egress=True))
    await running.published()
    assert await newest(stream) is None
    assert _state(stream) is State.SERVING

    running.store.apply(pod("curl", app="curl"))
    await running.published()
    assert held.version != (await _taken(stream)).version


async def test_a_change_is_published_to_every_stream_that_it_concerns(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH)
    streams = [running.attach("curl"), running.attach("curl", variant="delta")]
    other = running.attach("web-1")
    before = [await _taken(s) for s in (*streams, other)]

    running.store.apply(mesh_config(egress=True))
    await running.published()

    after = [await _taken(s) for s in (*streams, other)]
    assert all(new != old for new, old in zip(after, before, strict=True))
    assert after[0] is after[1]


async def test_a_change_of_one_pod_is_not_published_to_others(running: RunningHub) -> None:
    await running.holds(
        *SMALL_MESH, pod("web-2"), service("solo", port(target=9090), ips=("10.96.0.9",))
    )
    curl, web = running.attach("curl"), running.attach("web-1")
    for stream in (curl, web):
        await _taken(stream)

    running.store.apply(pod("web-1", more_labels={"app": "solo"}))
    await running.published()

    assert await newest(curl) is None
    assert await newest(web) is not None


async def test_what_concerns_nobody_wakes_nobody(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH)
    streams = [running.attach("curl"), running.attach("web-1")]
    for stream in streams:
        await _taken(stream)
    before = running.hub.query_counts.computed

    running.store.apply(namespace("legacy", mesh=None))
    running.store.apply(service("old", in_namespace="legacy"))
    running.store.apply(pod("other", app="other"))
    await running.published()

    assert [None, None] == [await newest(s) for s in streams]
    assert before == running.hub.query_counts.computed


async def test_a_change_of_endpoints_leaves_everything_but_endpoints_as_it_is(
    running: RunningHub,
) -> None:
    await running.holds(*SMALL_MESH)
    stream = running.attach("curl")
    before = await _taken(stream)

    running.store.apply(endpoint_slice("web", "10.0.0.1", "10.0.0.2"))
    await running.published()
    after = await _taken(stream)

    changed = {t: after.of(t).changed_since(before.of(t)) for t in SHORT_NAMES}
    assert {"shop/web|80"} == changed.pop(ENDPOINTS)
    assert not any(changed.values())


async def test_sidecars_share_what_is_equal_in_their_snapshots(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH, pod("web-2"), pod("buyer", app="buyer", account="buyer"))
    first, second, third = [
        await _taken(running.attach(name)) for name in ("web-1", "web-2", "buyer")
    ]

    assert first is second
    assert first is not third
    assert first.of(CLUSTER).layers[0] is third.of(CLUSTER).layers[0]
    assert first.of(LISTENER).layers[0] is third.of(LISTENER).layers[0]


async def test_streams_that_end_leave_nothing_behind_when_they_do_not_come_back(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "REMEMBERED_SECONDS", 0.0)
    await running.holds(*SMALL_MESH)
    before = running.hub.query_counts.remembered
    streams = [running.attach(name) for name in ("curl", "curl", "web-1", "nobody")]
    assert len(running.hub.records) == 4

    for stream in streams:
        running.hub.detach(stream)

    assert before == running.hub.query_counts.remembered
    assert len(running.hub.records) == 0


async def test_a_hundred_reconnects_of_a_pod_cost_as_much_as_one(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH)
    running.hub.detach(running.attach("curl"))
    once = running.hub.query_counts.computed

    for _ in range(100):
        running.hub.detach(running.attach("curl"))

    assert once == running.hub.query_counts.computed


async def test_what_is_remembered_of_pods_that_left_is_bounded_and_nothing_of_unknown_ones(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "REMEMBERED_LEFT", 1)
    await running.holds(*SMALL_MESH)
    for name in ("curl", "web-1", "curl", *(f"nobody-{n}" for n in range(50))):
        running.hub.detach(running.attach(name))

    assert 1 == len(running.hub._followers._left)


async def test_only_who_is_admitted_has_a_standing_and_only_as_long_as_there_is_something_to_know(
    running: RunningHub,
) -> None:
    await running.holds(*SMALL_MESH)
    quarantine = running.hub.quarantine
    refused = running.attach("curl", subscriber=Account("shop", "another"))
    unknown = [running.attach(f"nobody-{n}") for n in range(50)]
    assert not quarantine._clients
    assert not quarantine._cohorts

    served = running.attach("curl")
    assert ["curl.shop"] == list(quarantine._clients)
    for stream in (refused, served, *unknown):
        running.hub.detach(stream)

    assert not quarantine._clients


async def test_a_stream_goes_on_when_another_of_the_same_pod_ends(running: RunningHub) -> None:
    await running.holds(*SMALL_MESH)
    ending, staying = running.attach("curl"), running.attach("curl")
    await _taken(staying)

    running.hub.detach(ending)
    running.store.apply(mesh_config(egress=True))
    await running.published()

    assert await newest(staying) is not None


def test_what_a_sidecar_rejects_is_tried_again_when_its_time_has_come() -> None:
    async def scenario(clock: Callable[[], float]) -> None:
        expiry = RolloutSettings(quarantine_expiry=5.0)
        async with running_hub(clock=clock, rollout=expiry) as running:
            await running.holds(*SMALL_MESH)
            await asyncio.sleep(1.0)  # the hub waits for a change, and none comes
            stream = running.attach("curl")
            listeners = (await _taken(stream)).of(LISTENER)
            name, listener = next(iter(listeners.items()))
            stream.client.rejected(LISTENER, {name: listener}, {}, f"{name}: no")

            await asyncio.sleep(4.9)
            assert {name} == stream.client.blocked(listeners)
            await asyncio.sleep(0.2)
            assert frozenset() == stream.client.blocked(listeners)
            assert [listener] == [q.resource for q in running.hub.quarantine.quarantined()]
            stream.client.enrol([listener])  # as the session does
            stream.client.accepted(LISTENER, {name: listener})
            assert [] == list(running.hub.quarantine.quarantined())

    run_in_fake_time(scenario)


async def test_asking_for_a_snapshot_without_a_stream_leaves_nothing_behind(
    running: RunningHub,
) -> None:
    await running.holds(*SMALL_MESH)
    before = running.hub.query_counts.remembered

    assert running.hub.snapshot(ClientKind.ENVOY, CURL) is not None
    for number in range(10):
        who = SidecarId(pod=f"nobody-{number}", namespace="shop")
        assert running.hub.snapshot(ClientKind.ENVOY, who) is None

    assert before == running.hub.query_counts.remembered


async def test_problems_are_those_of_the_sources_and_of_planning(running: RunningHub) -> None:
    await running.holds(namespace(), service("manual", selector={}))

    found = running.hub.problems()

    assert ["osm-mesh-config", "manual"] == [p.object.name for p in found]
    assert {Kind.SERVICE: 1, Kind.NAMESPACE: 1} == {
        kind: count for kind, count in running.hub.object_counts().items() if count
    }


async def test_what_composes_snapshots_can_be_replaced() -> None:
    def compose(_: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        return made({CLUSTER: {str(sidecar): str(kind)}}) if sidecar.pod == "curl" else None

    async with running_hub(compose=compose) as running:
        await running.holds(*SMALL_MESH)
        curl, web = running.attach("curl"), running.attach("web-1")

        assert ["curl.shop"] == list((await _taken(curl)).of(CLUSTER))
        assert await newest(web) is None


def _state(stream: Stream) -> State:
    return stream.record.state


async def _taken(stream: Stream) -> Snapshot:
    held = await newest(stream)
    assert held is not None
    return held


@pytest.mark.parametrize("turns", range(6))
async def test_a_hub_can_be_stopped_in_the_very_moment_of_a_change(turns: int) -> None:
    async with running_hub() as running:
        following = asyncio.ensure_future(running.hub.run())
        await asyncio.sleep(0.01)
        running.store.apply(namespace())
        for _ in range(turns):
            await asyncio.sleep(0)

        following.cancel()

        assert {following} == (await asyncio.wait({following}, timeout=30))[0]


async def test_a_snapshot_that_cannot_be_worked_out_keeps_nobody_else_from_theirs() -> None:
    broken = SidecarId(pod="web-1", namespace="shop")

    def compose(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        del kind
        config = mesh.config()
        if sidecar == broken and config is not None and config.enable_egress:
            raise ZeroDivisionError
        return made({CLUSTER: {"a": str(config)}})

    async with running_hub(compose=compose) as running:
        await running.holds(*SMALL_MESH)
        streams = [running.attach(name) for name in ("web-1", "curl")]
        before = [await _taken(stream) for stream in streams]
        running.store.apply(mesh_config(egress=True))
        await running.published()
        after = [await newest(stream) for stream in streams]

        assert after[0] is None
        assert after[1] not in (None, before[1])
        assert 1 == sample(running.metrics, "towpath_task_failures_total", task="publish")

        running.store.apply(mesh_config(policies=True))
        await running.published()

        assert await newest(streams[0]) == await newest(streams[1]) != before[0]
