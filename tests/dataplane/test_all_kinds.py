"""Sidecars and clients without one on one server at once; each holds what is of its own kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dataplane.network import POD_ADDRESSES
from support.dataplane.process import Process
from support.dataplane.rig import Rig
from support.proxyless import xds_client

pytestmark = pytest.mark.dataplane

GREETER = Path(__file__).parents[1] / "support" / "proxyless" / "greeter.py"
PORT = 50051
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "hello", "namespace": "bookstore"},
    "spec": {
        "clusterIP": "10.96.0.77",
        "selector": {"app": "bookstore"},
        "ports": [{"name": "grpc", "port": PORT}],
    },
}
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "hello-1",
        "namespace": "bookstore",
        "labels": {"kubernetes.io/service-name": "hello"},
    },
    "addressType": "IPv4",
    "ports": [{"name": "grpc", "port": PORT}],
    "endpoints": [{"addresses": [POD_ADDRESSES["bookstore-0"]]}],
}
CLUSTER = f"bookstore/hello|{PORT}"


@pytest.fixture
def greeted(bookstore: Rig) -> Iterator[Rig]:
    """The mesh with a gRPC service in the first of the bookstore's pods, behind its sidecar."""
    command = (sys.executable, str(GREETER), f"0.0.0.0:{PORT}", "hello")
    pod = bookstore.network.pods["bookstore-0"]
    greeter = Process(pod, "greeter", command, folder=bookstore.folder)
    greeter.start()
    bookstore.manifests.write("hello.yaml", SERVICE, SLICE)
    yield bookstore
    bookstore.manifests.remove("hello.yaml")
    greeter.stop()


@pytest.mark.parametrize("flavour", ["sync", "aio"])
async def test_a_call_without_a_sidecar_goes_through_that_of_the_called_pod(
    greeted: Rig, flavour: str
) -> None:
    host, port = greeted.towpath.ads
    called = greeted.sidecars["bookstore-0"].admin
    async with xds_client(
        f"{host}:{port}", flavour=flavour, inside=greeted.network.control.command
    ) as client:
        await client.until("hello.bookstore", lambda o: o.said == "hello", what="it is called")

        assert called.stat(f"cluster.inbound|{PORT}|local.upstream_rq_completed") > 0
        _nobody_holds_what_is_anothers(greeted)


def _nobody_holds_what_is_anothers(rig: Rig) -> None:
    host, port = rig.towpath.ads
    command = (sys.executable, "-m", "towpath", "sidecars", "--server", f"{host}:{port}")
    done = rig.network.control.run(*command, "-o", "json")
    assert 0 == done.returncode, done.stderr
    streams = json.loads(done.stdout)["sidecars"]
    by_kind = {
        kind: sorted({s["nodeId"] for s in streams if s["clientKind"] == kind})
        for kind in ("ENVOY", "GRPC")
    }

    assert [s.node_id for s in _sorted(rig)] == by_kind["ENVOY"]
    assert ["curl.curl"] == by_kind["GRPC"]
    assert not [d for s in streams for d in s["deliveries"] if d["rejections"]]
    for sidecar in rig.sidecars.values():
        assert not [name for name in sidecar.admin.listeners() if name.startswith("hello.")]
        assert set(sidecar.admin.listeners()) <= {
            "outbound-listener",
            "inbound-listener",
            "prometheus-listener",
        }


def _sorted(rig: Rig) -> list[Any]:
    return sorted(rig.sidecars.values(), key=lambda sidecar: sidecar.node_id)
