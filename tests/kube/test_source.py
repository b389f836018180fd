"""The cluster source on a real API server: what the store holds is what the cluster has."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane.policy import egress, route_group
from support.kube.cluster import ADMIN, Cluster
from support.kube.writing import KINDS
from towpath.hub.compose import snapshot
from towpath.kubeapi.configuration import connect
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, Kind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.planning import problems
from towpath.settings import MeshSettings
from towpath.sources.files import FilesSource
from towpath.sources.kube import KubeSource
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900)]

MESH = Path(__file__).parents[2] / "deploy" / "demo" / "mesh"
WITHIN_S = 60.0
CURL = SidecarId("curl", "curl")


@dataclass
class Following:
    """A store that a source keeps equal to the cluster."""

    store: Store
    source: KubeSource

    def snapshot(self, sidecar: SidecarId = CURL) -> Snapshot | None:
        return snapshot(self.store.drain()[0], ClientKind.ENVOY, sidecar)

    def names(self, kind: Kind) -> set[str]:
        return {name for held, _, name in self.store.drain()[0].objects if held is kind}

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {WITHIN_S:g} s: {what}") from None


@asynccontextmanager
async def following(cluster: Cluster, identity: str = ADMIN) -> AsyncIterator[Following]:
    store = Store(MeshSettings().scope, on_change=lambda: None)
    api = await connect(cluster.kubeconfig(identity), "")
    source = KubeSource(
        api, store, osm_namespace="osm-system", metrics=Metrics(), dice=random.Random(1)
    )
    running = asyncio.create_task(source.run())
    try:
        yield Following(store, source)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await api.close()


def _documents(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def mesh(cluster: Cluster) -> Cluster:
    """The demo mesh in the cluster, with a policy."""
    documents = _documents(MESH)
    namespaces = [one for one in documents if one["kind"] == "Namespace"]
    assert cluster.apply(*namespaces).exit_code == 0
    for document in documents:
        if document["kind"] == "Pod":
            document["spec"].setdefault("containers", [{"name": "app", "image": "app"}])
        if document["kind"] != "Namespace":
            applied = cluster.apply(document)
            assert applied.exit_code == 0, applied.error
    cluster.kubectl("delete", "egress", "--all", "-n", "curl")
    return cluster


def _patch(cluster: Cluster, change: str) -> None:
    done = cluster.kubectl(
        *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
        *("-p", change, "--type=merge"),
    )
    assert done.exit_code == 0, done.error


async def test_the_same_objects_give_the_same_snapshots_as_from_a_folder(
    mesh: Cluster, tmp_path: Path
) -> None:
    """For every pod and sort of client, policies included; and the same is wrong with them."""
    setting = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "limits", "namespace": "curl"},
        "spec": {"host": "a.test", "connectionSettings": {"tcp": {"maxConnections": 3}}},
    }
    policies = [
        egress("routed", (80, "http"), hosts=["a.test"], groups=["g"], settings=["limits"]),
        egress("wide", (443, "https"), (9, "tcp"), hosts=["*.b.test"], ranges=["10.0.0.0/8"]),
        egress("dangling", (81, "http"), hosts=["c.test"], groups=["gone"]),
    ]
    done = mesh.apply(route_group("g", "/get"), setting, *policies)
    assert done.exit_code == 0, done.error
    _patch(mesh, '{"spec":{"featureFlags":{"enableEgressPolicy":true}}}')
    exported = mesh.kubectl("get", KINDS, "--all-namespaces", "-o", "yaml").out
    (tmp_path / "all.yaml").write_text(exported)
    folder = Store(MeshSettings().scope, on_change=lambda: None)
    FilesSource(tmp_path, folder).load()
    wanted, _ = folder.drain()
    pods = [SidecarId(name, space) for kind, space, name in wanted.objects if kind is Kind.POD]
    async with following(mesh) as cluster:
        await cluster.until(lambda: cluster.store.synced, "every kind is listed")
        found, _ = cluster.store.drain()

        assert len(pods) > 1
        for client, pod in itertools.product(ClientKind, pods):
            assert snapshot(wanted, client, pod) == snapshot(found, client, pod), (client, pod)
        assert _wrong(wanted) == _wrong(found)
        assert any("HTTPRouteGroup curl/gone does not exist" in text for text in _wrong(found))
    mesh.kubectl("delete", "egress,httproutegroup,upstreamtrafficsetting", "--all", "-n", "curl")
    _patch(mesh, '{"spec":{"featureFlags":{"enableEgressPolicy":false}}}')


def _wrong(mesh: Mesh) -> set[str]:
    """All Problems, without where their objects were read."""
    return {str(replace(problem, source="")) for problem in {*mesh.problems, *problems(mesh)}}


async def test_the_manuals_patch_is_followed(mesh: Cluster) -> None:
    async with following(mesh) as cluster:
        await cluster.until(lambda: cluster.store.synced, "every kind is listed")
        for wanted in (True, False):
            change = f'{{"spec":{{"traffic":{{"enableEgress":{str(wanted).lower()}}}}}}}'
            await asyncio.to_thread(_patch, mesh, change)

            def obeys(wanted: bool = wanted) -> bool:  # noqa: FBT001
                config = cluster.store.drain()[0].config()
                return config is not None and config.enable_egress is wanted

            await cluster.until(obeys, f"enableEgress is {wanted}")


async def test_policies_come_and_go(mesh: Cluster) -> None:
    async with following(mesh) as cluster:
        await cluster.until(lambda: cluster.store.synced, "every kind is listed")
        policy = egress("seen", (80, "http"), hosts=["httpbin.org"], groups=["g"])
        await asyncio.to_thread(mesh.apply, policy, route_group("g", "/get"))
        await cluster.until(lambda: "seen" in cluster.names(Kind.EGRESS), "the policy is held")
        await asyncio.to_thread(mesh.kubectl, "delete", "egress", "seen", "-n", "curl")
        await cluster.until(lambda: "seen" not in cluster.names(Kind.EGRESS), "it is gone")


async def test_a_namespace_joins_and_leaves_the_mesh(mesh: Cluster) -> None:
    async with following(mesh) as cluster:
        await cluster.until(lambda: cluster.store.synced, "every kind is listed")
        label = "openservicemesh.io/monitored-by"
        await asyncio.to_thread(mesh.kubectl, "label", "namespace", "default", f"{label}=osm")
        await cluster.until(lambda: cluster.store.drain()[0].monitored("default"), "joined")
        await asyncio.to_thread(mesh.kubectl, "label", "namespace", "default", f"{label}-")
        await cluster.until(lambda: not cluster.store.drain()[0].monitored("default"), "left")


async def test_a_server_that_dies_leaves_what_was_seen_and_is_caught_up_with(
    mesh: Cluster,
) -> None:
    async with following(mesh) as cluster:
        await cluster.until(lambda: cluster.store.synced, "every kind is listed")
        before = cluster.snapshot()
        mesh.kill()
        await cluster.until(lambda: cluster.source.stale_seconds() > 0.3, "stale")
        assert cluster.snapshot() == before

        mesh.start()  # in this thread: the server dies with the thread that starts it
        await asyncio.to_thread(mesh.apply, egress("after", (81, "http"), hosts=["a.test"]))
        await cluster.until(lambda: "after" in cluster.names(Kind.EGRESS), "caught up")
        await cluster.until(lambda: cluster.source.stale_seconds() == 0, "fresh")
        await asyncio.to_thread(mesh.kubectl, "delete", "egress", "after", "-n", "curl")


async def test_a_burst_during_an_outage_with_a_compacted_history_is_not_lost(
    mesh: Cluster,
) -> None:
    """The old version is gone (410): everything is listed again, and compared."""
    doomed = egress("doomed", (82, "http"), hosts=["a.test"])
    assert mesh.apply(doomed).exit_code == 0
    async with following(mesh) as cluster:
        await cluster.until(lambda: "doomed" in cluster.names(Kind.EGRESS), "it is held")
        mesh.kill()
        mesh.start()  # in this thread: the server dies with the thread that starts it
        burst = [egress(f"burst-{n}", (83, "http"), hosts=["a.test"]) for n in range(30)]
        await asyncio.to_thread(mesh.apply, *burst)
        await asyncio.to_thread(mesh.kubectl, "delete", "egress", "doomed", "-n", "curl")
        await asyncio.to_thread(mesh.compact)
        wanted = {policy["metadata"]["name"] for policy in burst}
        await cluster.until(lambda: cluster.names(Kind.EGRESS) == wanted, "the burst, whole")
    await asyncio.to_thread(mesh.kubectl, "delete", "egress", "--all", "-n", "curl")


async def test_an_identity_without_rights_is_told_what_to_grant(
    mesh: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(mesh, "stranger") as cluster:
        await cluster.until(lambda: "egresses" in caplog.text, "a warning")

        assert not cluster.store.synced
        assert 'resources: ["egresses"], verbs: [list, watch]' in caplog.text
        assert 'apiGroups: ["policy.openservicemesh.io"]' in caplog.text


async def test_a_kind_that_is_not_installed_yet_holds_up_nothing(mesh: Cluster) -> None:
    definition = "crd/upstreamtrafficsettings.policy.openservicemesh.io"
    crds = Path(__file__).parents[2] / "deploy" / "crds" / "upstreamtrafficsettings.yaml"
    held: Mapping[str, Any] = yaml.safe_load(crds.read_text())
    await asyncio.to_thread(mesh.kubectl, "delete", definition)
    try:
        async with following(mesh) as cluster:
            await cluster.until(lambda: cluster.store.synced, "the rest is listed")
            await asyncio.to_thread(mesh.apply, held)
            await asyncio.to_thread(
                mesh.kubectl, "wait", "--for=condition=Established", "--timeout=60s", definition
            )
            metadata = {"name": "late", "namespace": "curl"}
            late = {
                "apiVersion": "policy.openservicemesh.io/v1alpha1",
                "kind": "UpstreamTrafficSetting",
                "metadata": metadata,
                "spec": {"host": "a.test"},
            }
            await asyncio.to_thread(mesh.apply, late)
            await cluster.until(
                lambda: "late" in cluster.names(Kind.UPSTREAM_TRAFFIC_SETTING), "it is seen"
            )
    finally:
        await asyncio.to_thread(mesh.apply, held)
