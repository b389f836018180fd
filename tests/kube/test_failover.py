"""A real Envoy whose control plane dies: it goes on, and the next replica sends what it asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.dataplane import wait
from support.dataplane.clients import curl
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network
from support.dataplane.policy import egress
from support.dataplane.sidecar import sidecar_config
from support.kube.cluster import Cluster
from support.kube.replica import Replica
from support.kube.shared import apply_demo_mesh
from towpath.encode.envoy.bootstrap import Transport

pytestmark = [pytest.mark.kube, pytest.mark.dataplane]

URL = "http://httpbin.org:80/get"
WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
UPDATED = ("cluster_manager.cluster_modified", "listener_manager.listener_modified")


RESENT = {
    Transport.DELTA: {"cds": 0, "eds": 0, "lds": 0, "rds": 0},
    # One version stands for a whole type: it does not say which of the named Envoy holds.
    Transport.SOTW: {"cds": 0, "eds": 1, "lds": 0, "rds": 2},
}
"""How many resources of each type Envoy is sent again by the replica that it comes to."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the sidecar's user may reach."""
    with TemporaryDirectory(prefix="towpath-failover-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("transport", Transport)
def test_an_envoy_that_fails_over_serves_on_and_warms_nothing_again(
    transport: Transport,
    cluster: Cluster,
    network: Network,
    hosts: Hosts,  # noqa: ARG001 - they answer outside
    folder: Path,
) -> None:
    apply_demo_mesh(cluster)
    cluster.apply(egress("httpbin", (80, "http"), hosts=["httpbin.org"]))
    with Replica(cluster, "a", folder) as a, Replica(cluster, "b", folder) as b:
        config = sidecar_config("curl.curl", server=a.socket, transport=transport)
        (control_plane,) = config["static_resources"]["clusters"]
        (endpoints,) = control_plane["load_assignment"]["endpoints"]
        another = {"endpoint": {"address": {"pipe": {"path": str(b.socket)}}}}
        endpoints["lb_endpoints"].append(another)
        with Envoy(network.pods["curl"], config, folder=folder) as envoy:
            envoy.wait_ready()
            wait.until(
                lambda: curl(network.pods["curl"], URL).status,
                lambda status: status == 200,
                what="the policy lets curl out",
                context=envoy.process.tail,
            )
            first, second = (a, b) if a.metric("towpath_connected_sidecars") else (b, a)
            first.wait_accepted("curl.curl")
            first_sent = first.sent()
            before = [envoy.admin.stat(name) for name in UPDATED]
            first.kill()
            assert 200 == curl(network.pods["curl"], URL).status
            second.wait_accepted("curl.curl")
            again = second.sent()
            print(f"{transport.name}: the first sent {first_sent}, the second {again}")
            assert RESENT[transport] == {short: count for short, (count, _) in again.items()}
            assert [0, 0] == [envoy.admin.stat(name) for name in WARMING]

            cluster.apply(egress("more", (80, "http"), hosts=["more.test"]))
            envoy.until(
                lambda: sorted(envoy.admin.clusters()),
                lambda names: "more.test:80" in names,
                what="what changes afterwards comes from the second",
            )
            assert 200 == curl(network.pods["curl"], URL).status
            assert before == [envoy.admin.stat(name) for name in UPDATED]
    cluster.kubectl("delete", "egress", "--all", "-n", "curl")
