"""Fixtures of the data-plane tests: one mesh for each module, on the session's one network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, WITH_A_SERVICE, WITH_POLICIES, Manifests
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.wait import equals
from towpath.encode.envoy.bootstrap import Transport

Prepare = Callable[[Manifests], object]


class OpenMesh(Protocol):
    """Opens one of the demo meshes; *prepare* may change its manifests first."""

    def __call__(self, source: Path, *, prepare: Prepare = ...) -> Rig: ...


@pytest.fixture(scope="module", params=list(Transport), ids=lambda transport: transport.name)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Both variants of the protocol, one after the other."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture(scope="module")
def open_mesh(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OpenMesh]:
    """Serve a copy of a demo mesh, with a sidecar in each pod, until the module ends."""
    with ExitStack() as stack:

        def opened(source: Path, *, prepare: Prepare = lambda _: None) -> Rig:
            folder = tmp_path_factory.mktemp(source.name)
            manifests = Manifests(source, folder / "manifests")
            prepare(manifests)
            rig = open_rig(network, hosts, manifests, transport=transport, folder=folder)
            return stack.enter_context(rig)

        yield opened


@pytest.fixture(scope="module")
def alone(open_mesh: OpenMesh) -> Rig:
    """The mesh of the manual's page: the `curl` client and nothing else."""
    return open_mesh(CURL_ALONE)


@pytest.fixture(scope="module")
def policies(open_mesh: OpenMesh) -> Rig:
    """The mesh of the page on egress policies: the `curl` client, and policies switched on."""
    return open_mesh(WITH_POLICIES)


@pytest.fixture(scope="module")
def bookstore(open_mesh: OpenMesh) -> Rig:
    """The mesh with a service; a second pod of it runs, but is not one of its endpoints."""

    def with_a_second_pod(manifests: Manifests) -> float:
        address = POD_ADDRESSES["bookstore-1"]
        return manifests.add_pod("bookstore-0", name="bookstore-1", address=address)

    return open_mesh(WITH_A_SERVICE, prepare=with_a_second_pod)


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
