"""Narrower policies that a real Envoy rejects: what stands in for them is never the wide one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dataplane import editions
from support.dataplane.clients import curl
from support.dataplane.editions import BAD_INBOUND, EDITION
from support.dataplane.hosts import APP_PORT, Hosts
from support.dataplane.mesh import WITH_A_SERVICE, Document, Manifests
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.targets import SERVICE, group, switch, target
from support.dataplane.wait import equals
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

POD, SERVER = POD_ADDRESSES["bookstore-0"], "bookstore-0"
TARGETS = (target("t", "curl", "all"), group("all", "/books"))


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: what stands in does not go by it."""
    return Transport.DELTA


@pytest.fixture
def shop(
    network: Network, hosts: Hosts, transport: Transport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """The mesh in permissive mode, of a control plane that can send routes which Envoy rejects."""
    folder = tmp_path_factory.mktemp("rejected")
    manifests = Manifests(WITH_A_SERVICE, folder / "manifests")
    with open_rig(
        network, hosts, manifests, transport=transport, folder=folder, serve=editions.SERVE
    ) as rig:
        yield rig


def test_what_envoy_rejects_of_narrower_policies_never_leaves_the_wide_ones_in_force(
    shop: Rig,
) -> None:
    """In permissive mode anyone; then a target; then none: each step is rejected, and closes."""
    until(shop, stranger, 200)
    shop.manifests.apply(*TARGETS)
    shop.manifests.write("bad.yaml", bad())
    switch(shop, permissive=False)
    until(shop, stranger, 403)
    rejected = shop.towpath.metric("towpath_xds_nacks_total", type="rds")
    shop.manifests.remove("bad.yaml")
    until(shop, client, 200)
    without_it = stranger(shop)
    shop.manifests.write("bad.yaml", bad())
    shop.manifests.withdraw()
    shop.sidecars[SERVER].until(
        lambda: shop.towpath.metric("towpath_xds_nacks_total", type="rds") > rejected,
        equals(expected=True),
        what="the narrower routes are rejected as well",
    )
    until(shop, granted, 403)

    assert rejected > 0
    assert 403 == without_it


def stranger(rig: Rig) -> int:
    """Of somebody without a sidecar."""
    return curl(rig.network.control, f"http://{POD}:{APP_PORT}/books").status


def client(rig: Rig) -> int:
    """Of the client that the target names, through its sidecar."""
    return curl(rig.client, f"http://{SERVICE}/books").status


def granted(rig: Rig) -> int:
    """The same at the pod itself, where no sidecar of the client's stands in the way."""
    rig.manifests.set_egress(on=True)
    return curl(rig.client, f"http://{POD}:{APP_PORT}/books").status


def until(rig: Rig, call: object, status: int) -> None:
    assert callable(call)
    rig.sidecars[SERVER].until(lambda: call(rig), equals(status), what=f"it gives {status}")


def bad() -> Document:
    """A Service that makes the routes of what comes in such that Envoy rejects them."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bad", "namespace": "bookstore"},
        "spec": {
            "clusterIP": "10.96.0.99",
            "selector": {EDITION: BAD_INBOUND},
            "ports": [{"name": "http", "port": 80, "targetPort": APP_PORT}],
        },
    }
