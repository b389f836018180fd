"""Sidecars log in with tokens of a real API server, each bound to its pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from support.certificates import Certificates
from support.control_plane import bearer
from support.kube.cluster import Cluster
from support.kube.mesh import install
from support.kube.replica import Replica
from support.ports import free_ports
from support.xds.stream import RawStream
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE
from towpath_client import TlsFiles

pytestmark = pytest.mark.kube

REFUSED = "towpath_tokens_refused_total"
OUTAGE_S = 30.0


class Served:
    """A control plane with a token port, on an API server of its own that a test may end."""

    def __init__(self, cluster: Cluster, folder: Path, tls: TlsFiles) -> None:
        self.cluster = cluster
        self._tls = tls
        ads, tokens = free_ports(2)
        self._address = f"localhost:{tokens}"
        self.replica = Replica(
            cluster,
            "tokens",
            folder,
            options=(
                # Of two addresses the last one counts.
                *("--ads-address", f"127.0.0.1:{ads}", "--ads-token-address", self._address),
                *("--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)),
                *("--tls-client-ca", str(tls.ca), "--checkpoint", str(folder / "checkpoint")),
            ),
        )

    def pod(self, name: str, *, account: str = "default") -> str:
        """Create a pod anew; its uid."""
        self.cluster.kubectl("delete", "pod", name, "-n", "curl", "--now", "--ignore-not-found")
        metadata = {"name": name, "namespace": "curl"}
        spec = {"serviceAccountName": account, "containers": [{"name": "c", "image": "c"}]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        applied = self.cluster.apply(document)
        assert applied.exit_code == 0, applied.error
        shown = self.cluster.kubectl("get", "pod", name, "-n", "curl", "-o", "json").json()
        return str(shown["metadata"]["uid"])

    def token(self, pod: str, *, audience: str = "towpath", bound: bool = True) -> str:
        """What the kubelet would put into the pod's volume."""
        binding = ("--bound-object-kind", "Pod", "--bound-object-name", pod) if bound else ()
        done = self.cluster.kubectl(
            *("create", "token", "default", "-n", "curl", "--audience", audience), *binding
        )
        assert done.exit_code == 0, done.error
        return done.out.strip()

    @asynccontextmanager
    async def stream(self, pod: str, token: str) -> AsyncIterator[RawStream]:
        """A stream that has asked for clusters."""
        trusting = grpc.ssl_channel_credentials(self._tls.ca.read_bytes())
        async with grpc.aio.secure_channel(self._address, trusting) as channel:
            method = f"/{SERVICE}/DeltaAggregatedResources"
            stream = RawStream(channel, method, metadata=bearer(token))
            request = DeltaDiscoveryRequest(node=Node(id=f"{pod}.curl"), type_url=CLUSTER)
            await stream.say_bytes(request.SerializeToString())
            yield stream

    async def is_served(self, pod: str, token: str) -> None:
        async with self.stream(pod, token) as stream:
            await stream.hear_bytes()

    def refused(self, reason: str) -> float:
        return self.replica.metric(REFUSED, reason=reason)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tokens")
    tls = Certificates(folder, name="towpath").server("towpath")
    with Cluster(folder) as cluster:
        install(cluster)
        labels = {"openservicemesh.io/monitored-by": "osm"}
        namespace = {"metadata": {"name": "curl", "labels": labels}}
        account = {"metadata": {"name": "default", "namespace": "curl"}}
        applied = cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", **namespace},
            {"apiVersion": "v1", "kind": "ServiceAccount", **account},
        )
        assert applied.exit_code == 0, applied.error
        served = Served(cluster, folder, tls)
        with served.replica:
            yield served


async def test_a_bound_token_of_the_api_server_is_served(served: Served) -> None:
    served.pod("right")

    await served.is_served("right", served.token("right"))


async def test_tokens_of_it_that_are_not_a_pods_or_not_for_us_are_refused(served: Served) -> None:
    served.pod("wrong")
    tokens = {
        "audience": served.token("wrong", audience="https://kubernetes.default.svc"),
        "unbound": served.token("wrong", bound=False),
    }
    for reason, token in tokens.items():
        before = served.refused(reason)
        async with served.stream("wrong", token) as stream:
            await stream.end()

        assert before + 1 == served.refused(reason)


async def test_a_stream_ends_when_its_pod_is_deleted_and_its_token_is_worth_nothing_more(
    served: Served,
) -> None:
    served.pod("gone")
    token = served.token("gone")
    async with served.stream("gone", token) as stream:
        await stream.hear_bytes()
        await asyncio.to_thread(served.pod, "gone")  # another of that name, at once
        status, _ = await stream.end()

    assert grpc.StatusCode.PERMISSION_DENIED is status
    await served.is_served("gone", served.token("gone"))


async def test_a_restart_while_the_api_server_is_away_serves_by_the_keys_of_the_checkpoint(
    served: Served,
) -> None:
    served.pod("outage")
    token = served.token("outage")
    await served.is_served("outage", token)
    served.replica.stop()
    served.cluster.stop()
    try:
        served.replica.start()
        await asyncio.to_thread(served.replica.wait_ready)
        await served.is_served("outage", token)
        assert 0 < served.replica.metric("towpath_checkpoint_kinds")
    finally:
        served.cluster.start()


async def test_a_new_key_of_the_api_server_is_taken_and_the_old_one_still_is(
    served: Served, tmp_path: Path
) -> None:
    served.pod("rotated")
    before = served.token("rotated")
    served.cluster.stop()
    served.cluster.rotate_token_key(tmp_path)
    served.cluster.start()
    after = served.token("rotated")

    await served.is_served("rotated", before)
    await served.is_served("rotated", after)
    assert 0 == served.refused("unknown-key")
