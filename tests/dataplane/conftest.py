"""Fixtures of the data-plane tests: one network for all, one mesh for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dataplane.bootstrap import Transport
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, WITH_A_SERVICE, WITH_POLICIES, Manifests
from support.dataplane.network import POD_ADDRESSES, Network, open_network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.wait import equals


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    with open_network() as opened:
        yield opened


@pytest.fixture(scope="session")
def hosts(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as started:
        started.serve(network)
        yield started


@pytest.fixture(scope="module", params=list(Transport), ids=lambda transport: transport.name)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Both variants of the protocol, one after the other."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture(scope="module")
def alone(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rig]:
    """The mesh of the manual's page: the `curl` client and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    manifests = Manifests(CURL_ALONE, folder / "manifests")
    with open_rig(network, hosts, manifests, transport=transport, folder=folder) as rig:
        yield rig


@pytest.fixture(scope="module")
def policies(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rig]:
    """The mesh of the page on egress policies: the `curl` client, and policies switched on."""
    folder = tmp_path_factory.mktemp("policies")
    manifests = Manifests(WITH_POLICIES, folder / "manifests")
    with open_rig(network, hosts, manifests, transport=transport, folder=folder) as rig:
        yield rig


@pytest.fixture
def outside(policies: Rig) -> Iterator[Rig]:
    """The same, with nothing applied and passthrough off, before each test and after it."""
    policies.manifests.withdraw()
    policies.manifests.set_egress(on=False)
    listeners = policies.sidecar.admin.listeners
    policies.sidecar.until(
        lambda: "outbound-listener" in listeners(), equals(expected=False), what="a fresh start"
    )
    yield policies
    policies.manifests.withdraw()


@pytest.fixture(scope="module")
def bookstore(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rig]:
    """The mesh with a service; a second pod of it runs, but is not one of its endpoints."""
    folder = tmp_path_factory.mktemp("bookstore")
    manifests = Manifests(WITH_A_SERVICE, folder / "manifests")
    manifests.add_pod("bookstore-0", name="bookstore-1", address=POD_ADDRESSES["bookstore-1"])
    with open_rig(network, hosts, manifests, transport=transport, folder=folder) as rig:
        yield rig
