"""Faults before a real API server: in the end every snapshot is the one made from scratch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.dataplane.policy import egress, route_group
from support.kube.cluster import Cluster
from support.kube.wire import Wire, wire
from support.kube.writing import KINDS, Writer, writing
from towpath.hub.compose import snapshot
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.kubeapi.configuration import connect
from towpath.model.names import ClientKind, Kind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.rollout.records import StreamRecords
from towpath.settings import MeshSettings, RolloutSettings
from towpath.sources.decode import decode
from towpath.sources.kube import KubeSource
from towpath.sources.kube.timing import Timing
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

pytestmark = pytest.mark.kube

WITHIN_S = 60.0
SPACES = ("fault-0", "fault-1", "fault-2")
SIDECARS = tuple(SidecarId("client", space) for space in SPACES)
JOINED = {"openservicemesh.io/monitored-by": "osm"}
POLICY, SPECS = "policy.openservicemesh.io/v1alpha1", "specs.smi-spec.io/v1alpha4"
CONFIGS = "/apis/config.openservicemesh.io/v1alpha2/namespaces/osm-system/meshconfigs"
CONFIG = f"{CONFIGS}/osm-mesh-config"


@dataclass
class Plane:
    """A store that follows the cluster over a wire, and the hub that makes snapshots of it."""

    wire: Wire
    store: Store
    hub: Hub
    source: KubeSource
    metrics: Metrics

    def lists(self) -> float:
        name = "towpath_source_lists_total"
        held = [self.metrics.registry.get_sample_value(name, {"kind": k.value}) for k in Kind]
        return sum(value or 0 for value in held)

    def snapshots(self) -> list[Snapshot | None]:
        return [self.hub.snapshot(ClientKind.ENVOY, sidecar) for sidecar in SIDECARS]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {WITHIN_S:g} s: {what}") from None

    async def equals(self, cluster: Cluster) -> None:
        """Wait until every sidecar's snapshot is the one made from the server's objects alone."""
        wanted = await asyncio.to_thread(from_scratch, cluster)
        await self.until(lambda: self.snapshots() == wanted, "equal to one made from scratch")


def from_scratch(cluster: Cluster) -> list[Snapshot | None]:
    store = Store(MeshSettings().scope, on_change=lambda: None)
    for item in cluster.kubectl("get", KINDS, "--all-namespaces", "-o", "json").json()["items"]:
        value = decode(item, "").value
        if value is not None:
            store.apply(value)
    mesh, _ = store.drain()
    return [snapshot(mesh, ClientKind.ENVOY, sidecar) for sidecar in SIDECARS]


@asynccontextmanager
async def plane(cluster: Cluster, folder: Path, **timing: Any) -> AsyncIterator[Plane]:
    """Everything listed; streams are open, so that what they hold is remembered."""
    debounce = Debounce(quiet=0.005, longest=0.05, clock=time.monotonic)
    store = Store(MeshSettings().scope, on_change=debounce.touch)
    metrics, clock = Metrics(), time.monotonic
    hub = Hub(
        store,
        debounce,
        records=StreamRecords(clock=time.time),
        metrics=metrics,
        clock=clock,
        rollout=RolloutSettings(),
    )
    async with wire(cluster.port) as between:
        path = folder / "kubeconfig"
        path.write_text(
            cluster.kubeconfig().read_text().replace(f":{cluster.port}", f":{between.port}")
        )
        api = await connect(path, "")
        quick = Timing(**{"first_pause_s": 0.05, "longest_pause_s": 1.0, **timing})
        source = KubeSource(
            api,
            store,
            osm_namespace="osm-system",
            metrics=metrics,
            dice=random.Random(5),
            timing=quick,
        )
        running = [asyncio.create_task(hub.run()), asyncio.create_task(source.run())]
        made = Plane(between, store, hub, source, metrics)
        try:
            await made.until(lambda: hub.ready and source.stale_seconds() == 0, "listed")
            for sidecar in SIDECARS:
                hub.attach(
                    peer="test",
                    node_id=str(sidecar),
                    sidecar=sidecar,
                    kind=ClientKind.ENVOY,
                    variant="delta",
                    subscriber=None,
                )
            yield made
            assert not any(task.done() for task in running), "it has ended by itself"
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await api.close()


@pytest.fixture(scope="module")
def spaces(cluster: Cluster) -> Iterator[Cluster]:
    """Some namespaces in the mesh, each with a client and a service."""
    for space in SPACES:
        made = cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": space, "labels": JOINED},
            },
            _of(space, "v1", "ServiceAccount", "client"),
            _of(
                space,
                "v1",
                "Pod",
                "client",
                spec={
                    "serviceAccountName": "client",
                    "containers": [{"name": "app", "image": "app"}],
                },
            ),
        )
        assert made.exit_code == 0, made.error
    yield cluster
    for space in SPACES:
        cluster.kubectl("delete", "egress,httproutegroup,service,pod", "--all", "-n", space)
        cluster.kubectl("label", "namespace", space, "openservicemesh.io/monitored-by-")


def _of(space: str, version: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


async def burst(writer: Writer, dice: random.Random, changes: int) -> None:
    """Changes of every sort, of things that refer to one another, some at once."""
    turns = iter(range(changes))

    async def work() -> None:
        for turn in turns:
            await _change(writer, dice, turn)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(work())


async def _change(writer: Writer, dice: random.Random, turn: int) -> None:
    space, number = dice.choice(SPACES), dice.randrange(6)
    policies = f"/apis/{POLICY}/namespaces/{space}/egresses"
    groups = f"/apis/{SPECS}/namespaces/{space}/httproutegroups"
    services = f"/api/v1/namespaces/{space}/services"
    match turn % 6:
        case 0:
            label = {"openservicemesh.io/monitored-by": dice.choice(["osm", "another", None])}
            change = {"metadata": {"labels": label}}
            await writer.write("PATCH", f"/api/v1/namespaces/{space}", change)
        case 1:
            switches = {"enableEgress": dice.random() < 0.5}
            config = {
                "traffic": switches,
                "featureFlags": {"enableEgressPolicy": dice.random() < 0.8},
            }
            await writer.write("PATCH", CONFIG, {"spec": config})
        case 2:
            group = route_group(f"g{number}", f"/{turn}")
            group["metadata"]["namespace"] = space
            await writer.write("DELETE", f"{groups}/g{number}")
            await writer.write("POST", groups, group)
        case 3:
            spec = {"ports": [{"name": "http", "port": 80 + number}], "selector": {"app": "x"}}
            await writer.write("DELETE", f"{services}/s{number}")
            await writer.write(
                "POST", services, _of(space, "v1", "Service", f"s{number}", spec=spec)
            )
        case _:
            name, hosts = f"e{number}", [f"h{dice.randrange(9)}.test"]
            await writer.write("DELETE", f"{policies}/{name}")
            if dice.random() < 0.8:
                chosen = [f"g{dice.randrange(6)}"] if dice.random() < 0.5 else []
                policy = egress(
                    name,
                    (80, "http"),
                    hosts=hosts,
                    groups=chosen,
                    account="client",
                    namespace=space,
                )
                policy["spec"]["sources"][0]["namespace"] = dice.choice(SPACES)
                await writer.write("POST", policies, policy)


async def test_a_wire_that_breaks_again_and_again_in_a_burst_loses_nothing(
    spaces: Cluster, tmp_path: Path
) -> None:
    async with plane(spaces, tmp_path) as towpath, writing(spaces) as writer:
        changing = asyncio.create_task(burst(writer, random.Random(6), 900))
        turns = 0
        while not changing.done():
            towpath.wire.drop()
            if turns % 4 == 1:
                await towpath.wire.cut()
                await asyncio.sleep(0.1)
                await towpath.wire.mend()
            if turns % 5 == 2:
                await asyncio.to_thread(spaces.compact)
            turns += 1
            await asyncio.sleep(0.15)
        await changing

        assert turns > 5
        await towpath.equals(spaces)


async def test_a_half_open_watch_is_given_up_and_goes_on_where_it_was(
    spaces: Cluster, tmp_path: Path
) -> None:
    async with plane(spaces, tmp_path, idle_s=2.0) as towpath, writing(spaces) as writer:
        before = towpath.lists()
        towpath.wire.freeze()
        await burst(writer, random.Random(7), 60)
        await towpath.until(lambda: towpath.source.stale_seconds() > 0, "it is noticed")
        towpath.wire.drop()
        towpath.wire.thaw()

        await towpath.equals(spaces)
        assert before == towpath.lists()


async def test_an_api_server_out_of_reach_is_caught_up_with_without_a_list(
    spaces: Cluster, tmp_path: Path
) -> None:
    async with plane(spaces, tmp_path) as towpath, writing(spaces) as writer:
        before = towpath.lists()
        await towpath.wire.cut()
        await burst(writer, random.Random(8), 60)
        await towpath.until(lambda: towpath.source.stale_seconds() > 0.5, "stale")
        await towpath.wire.mend()

        await towpath.equals(spaces)
        assert before == towpath.lists()


async def test_a_namespace_labelled_in_and_out_of_the_mesh_many_times(
    spaces: Cluster, tmp_path: Path
) -> None:
    async with plane(spaces, tmp_path) as towpath, writing(spaces) as writer:
        for turn in range(100):
            mesh = (JOINED, {"openservicemesh.io/monitored-by": None})[turn % 2]
            change = {"metadata": {"labels": mesh}}
            await writer.write("PATCH", f"/api/v1/namespaces/{SPACES[0]}", change)
        await towpath.until(lambda: not towpath.hub.mesh.monitored(SPACES[0]), "it has left")
        await towpath.equals(spaces)
        await writer.write(
            "PATCH", f"/api/v1/namespaces/{SPACES[0]}", {"metadata": {"labels": JOINED}}
        )
        await towpath.equals(spaces)
