"""Many changes at once, on a real API server: what is held in the end is what it has."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.kube.cluster import Cluster
from support.kube.writing import KINDS, Writer, writing
from towpath.kubeapi.configuration import connect
from towpath.model.names import Kind
from towpath.settings import MeshSettings
from towpath.sources.decode import decode
from towpath.sources.kube import KubeSource
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900)]

SPACE = "burst"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices"
WRITERS = 16
WITHIN_S = 60.0


async def make(writer: Writer, count: int) -> None:
    """So many slices, none of which is there yet."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            address = f"10.{number % 256}.{number // 256}.7"
            await writer.write("POST", SLICES, _slice(f"s{number}", address))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(work())


async def change(writer: Writer, count: int, *, of: int, dice: random.Random) -> None:
    """So many changes of so many slices, one in ten of them a deletion."""
    turns = iter([(dice.randrange(of), dice.random() < 0.1) for _ in range(count)])

    async def work() -> None:
        for number, gone in turns:
            name = f"s{number}"
            if gone:
                await writer.write("DELETE", f"{SLICES}/{name}")
            else:
                address = f"10.{dice.randrange(256)}.{dice.randrange(256)}.7"
                await writer.write("DELETE", f"{SLICES}/{name}")
                await writer.write("POST", SLICES, _slice(name, address))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(work())


def _slice(name: str, address: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": f"of-{name}"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "", "port": 80}],
    }


@asynccontextmanager
async def following(cluster: Cluster) -> AsyncIterator[Store]:
    store = Store(MeshSettings().scope, on_change=lambda: None)
    api = await connect(cluster.kubeconfig(), "")
    source = KubeSource(
        api, store, osm_namespace="osm-system", metrics=Metrics(), dice=random.Random(2)
    )
    running = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            while not store.synced:
                await asyncio.sleep(0.02)
        yield store
        assert not running.done(), "the source has ended by itself"
    finally:
        running.cancel()
        await asyncio.wait({running})
        await api.close()


def truth(cluster: Cluster) -> dict[Any, Any]:
    """Every object of the server, decoded from scratch, by its key."""
    items = cluster.kubectl("get", KINDS, "--all-namespaces", "-o", "json").json()["items"]
    values = [decode(item, "").value for item in items]
    return {(one.kind, one.namespace, one.name): one for one in values if one is not None}


async def equal(store: Store, cluster: Cluster) -> None:
    wanted = await asyncio.to_thread(truth, cluster)
    try:
        async with asyncio.timeout(WITHIN_S):
            while dict(store.drain()[0].objects) != wanted:
                await asyncio.sleep(0.05)
    except TimeoutError:
        held = dict(store.drain()[0].objects)
        assert wanted == held


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[Cluster]:
    """A namespace for the burst, emptied afterwards."""
    cluster.kubectl("create", "namespace", SPACE)
    yield cluster
    assert cluster.kubectl("delete", "--raw", SLICES).exit_code == 0  # in one request


async def test_five_thousand_objects_changed_in_a_burst_are_all_held(space: Cluster) -> None:
    async with following(space) as store, writing(space) as writer:
        await make(writer, 5000)
        await change(writer, 300, of=5000, dice=random.Random(3))

        await equal(store, space)
        assert len(store.held(Kind.ENDPOINT_SLICE)) > 4900


async def test_a_server_killed_in_a_burst_loses_nothing(space: Cluster) -> None:
    async with following(space) as store, writing(space) as writer:
        burst = asyncio.create_task(change(writer, 800, of=200, dice=random.Random(4)))
        async with asyncio.timeout(WITHIN_S):
            while writer.done < 500:
                await asyncio.sleep(0.005)
        space.kill()
        await asyncio.sleep(0.2)
        space.start()  # in this thread: the server dies with the thread that starts it
        await burst
        await asyncio.to_thread(space.compact)

        await equal(store, space)


async def test_an_object_nested_thousands_of_levels_deep_harms_nobody(space: Cluster) -> None:
    """The API server takes it, in a field that our definitions let pass; JSON decoders do not."""
    source = {"kind": "ServiceAccount", "name": "a", "namespace": SPACE}
    spec = {
        "sources": [source],
        "hosts": ["a.test"],
        "ports": [{"number": 80, "protocol": "http"}],
        "unknown": "DEEP",
    }
    policy = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Egress",
        "metadata": {"name": "deep", "namespace": SPACE},
        "spec": spec,
    }
    text = json.dumps(policy).replace('"DEEP"', "[" * 3000 + "]" * 3000)
    path = f"/apis/policy.openservicemesh.io/v1alpha1/namespaces/{SPACE}/egresses"
    head = {"Content-Type": "application/json"}
    async with following(space) as store, writing(space) as writer:
        async with writer.session.post(space.url + path, data=text, headers=head) as answer:
            assert 201 == answer.status, await answer.text()
        try:
            async with asyncio.timeout(WITHIN_S):
                while (Kind.EGRESS, SPACE, "deep") not in store.drain()[0].objects:
                    await asyncio.sleep(0.02)
            # Whoever starts now finds it in the list.
            async with following(space) as later:
                assert (Kind.EGRESS, SPACE, "deep") in later.drain()[0].objects
        finally:
            await writer.write("DELETE", f"{path}/deep")
