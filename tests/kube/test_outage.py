"""The API server is away: what a sidecar, a person and a monitor see, until it is back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.dataplane import wait
from support.dataplane.clients import curl_until
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network
from support.dataplane.policy import REFUSED, egress
from support.kube.cluster import Cluster
from support.kube.mesh import KubeMesh, open_kube_mesh
from towpath.sources.kube import checkpoint
from towpath_api.v1 import inspector_pb2 as pb

pytestmark = [pytest.mark.kube, pytest.mark.dataplane, pytest.mark.timeout(900)]

URL = "http://httpbin.org:80/get"
ON = '{"spec":{"featureFlags":{"enableEgressPolicy":true}}}'
STALE = "towpath_source_stale_seconds"
MEASURED_S = 10.0


@pytest.fixture(scope="module")
def mesh(cluster: Cluster, network: Network, hosts: Hosts) -> Iterator[KubeMesh]:
    """The client, which a policy lets out to one host."""
    with open_kube_mesh(cluster, network, hosts, checkpoint=True) as opened:
        patch = ("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system", "--type=merge")
        assert cluster.kubectl(*patch, "-p", ON).exit_code == 0
        opened.start_client()
        yield opened


@pytest.fixture
def let_out(mesh: KubeMesh) -> Iterator[KubeMesh]:
    """A policy lets the client out; in the end the API server runs, without one."""
    assert mesh.cluster.apply(egress("out", (80, "http"), hosts=["httpbin.org"])).exit_code == 0
    call(mesh, status=200)
    wait.until(fresh(mesh), wait.equals(0.0), what="all is followed")
    yield mesh
    assert mesh.cluster.kubectl("delete", "egress", "--all", "-n", "curl").exit_code == 0


def fresh(mesh: KubeMesh) -> Callable[[], float]:
    """How stale it is."""
    return lambda: mesh.replica.metric(STALE)


def call(mesh: KubeMesh, *, exits: int = 0, status: int = 0) -> None:
    curl_until(mesh.pod, URL, "--head", exits=exits, status=status, context=mesh.context)


def version(mesh: KubeMesh) -> str:
    """That of all that the sidecar is to hold: a hash of its content."""
    with mesh.replica.channel() as channel:
        wanted = pb.GetSnapshotRequest(node_id="curl.curl")
        return mesh.replica.inspector(channel).GetSnapshot(wanted).version


def problems(mesh: KubeMesh) -> list[str]:
    with mesh.replica.channel() as channel:
        listed = mesh.replica.inspector(channel).ListProblems(pb.ListProblemsRequest())
    return [f"{p.kind}: {p.message}" for p in listed.problems]


def source_lines(mesh: KubeMesh, said: int) -> list[str]:
    """What has been logged of the source behind the first so many lines."""
    lines = mesh.replica.log.splitlines()[said:]
    return [line for line in lines if " towpath.sources." in line.partition(": ")[0]]


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_while_it_is_away_all_goes_on_and_afterwards_too(let_out: KubeMesh) -> None:
    mesh, replica = let_out, let_out.replica
    held, said = version(mesh), len(replica.log.splitlines())
    sent = replica.metric("towpath_xds_responses_total")
    mesh.cluster.kill()
    try:
        wait.until(fresh(mesh), lambda stale: stale > 1, what="stale")
        call(mesh, status=200)
        assert (200, "ready\n") == replica.page("/health/ready")
        assert "what was last seen is served" in replica.log

        spent, begun = cpu_s(replica.pid), time.monotonic()
        before = replica.metric(STALE)
        wait.until(
            time.monotonic, lambda now: now - begun > MEASURED_S, what="a while", within_s=60
        )
        assert (cpu_s(replica.pid) - spent) / (time.monotonic() - begun) < 0.05
        assert replica.metric(STALE) - before >= MEASURED_S - 1
        assert 1 == len(source_lines(mesh, said))
    finally:
        mesh.cluster.start()
    wait.until(fresh(mesh), wait.equals(0.0), what="all is followed", within_s=60)
    assert held == version(mesh)
    assert sent == replica.metric("towpath_xds_responses_total")
    [_, end] = source_lines(mesh, said)
    assert "the API server answers again, after" in end

    mesh.cluster.kubectl("delete", "egress", "out", "-n", "curl")
    call(mesh, exits=REFUSED)


def test_a_restart_while_it_is_away_serves_the_checkpoint_and_then_the_truth(
    let_out: KubeMesh,
) -> None:
    mesh, replica = let_out, let_out.replica
    held = version(mesh)
    wait.until(mesh.kept.read_bytes, lambda data: b'"out"' in data, what="the policy is kept")
    mesh.cluster.kill()
    try:
        replica.kill()
        replica.start()
        replica.wait_ready()
        connected = "towpath_connected_sidecars"
        wait.until(lambda: replica.metric(connected), wait.equals(1.0), what="the sidecar is back")
        assert held == version(mesh)
        call(mesh, status=200)
        assert replica.metric("towpath_checkpoint_kinds") >= 9
        assert 0 < replica.metric(STALE) < 600
        assert [] != [p for p in problems(mesh) if p.startswith("Checkpoint: ")]
        assert 0 == replica.metric("towpath_xds_sent_resources_total")
    finally:
        mesh.cluster.start()
        # The truth is another one by the time that Towpath sees it.
        deleted = mesh.cluster.kubectl("delete", "egress", "out", "-n", "curl")
    assert deleted.exit_code == 0, deleted.error
    call(mesh, exits=REFUSED)
    wait.until(fresh(mesh), wait.equals(0.0), what="all is followed", within_s=60)
    assert 0 == replica.metric("towpath_checkpoint_kinds")
    assert [] == [p for p in problems(mesh) if p.startswith("Checkpoint: ")]


@pytest.mark.parametrize("damage", ["cut short", "of another mesh"])
def test_a_checkpoint_that_is_refused_is_never_served(let_out: KubeMesh, damage: str) -> None:
    mesh, replica = let_out, let_out.replica
    kept = mesh.kept
    wait.until(kept.exists, bool, what="it is kept")
    replica.stop()
    if damage == "cut short":
        kept.write_bytes(kept.read_bytes()[:-2])
        said = "it is damaged: its checksum is wrong"
    else:
        picture = checkpoint.read(kept, mesh.origin, now=time.time(), max_age_s=3600)
        checkpoint.write(kept, replace(mesh.origin, mesh_name="another"), picture)
        said = "it is of another cluster: its mesh name is 'another', not 'osm'"
    mesh.cluster.kill()
    try:
        replica.start()
        wait.until(lambda: replica.log, lambda log: said in log, what="it is refused", within_s=60)
        assert 503 == replica.page("/health/ready")[0]
        call(mesh, status=200)  # the sidecar has what it had
    finally:
        mesh.cluster.start()
    replica.wait_ready()
    call(mesh, status=200)
