"""Fixtures of the tests on a real Pipy: a mesh, its control plane, and agents that end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.dataplane.hosts import Hosts
from support.dataplane.iptables import without_redirect
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import Network
from support.dataplane.process import Process
from support.dataplane.towpath import Towpath
from support.pipy.agent import PipyPod
from support.pipy.shop import SERVER, THIEF, close

Serve = Callable[[Path], tuple[Manifests, Callable[..., PipyPod]]]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(network: Network, hosts: Hosts, tmp_path: Path, stack: ExitStack) -> Serve:  # noqa: ARG001 (there must be somebody to call)
    """Serve a mesh; gives its manifests, and what makes a PipyPod of a pod's name and node id."""

    def served(source: Path) -> tuple[Manifests, Callable[..., PipyPod]]:
        manifests = Manifests(source, tmp_path / "manifests")
        towpath = stack.enter_context(Towpath(network.control, manifests.folder, folder=tmp_path))

        def pod(name: str, node_id: str, *, http_port: int = 15906) -> PipyPod:
            return PipyPod(network, name, node_id, towpath.ads, tmp_path, http_port)

        return manifests, pod

    return served


@dataclass
class Shop:
    """A mesh without permissive mode, and its pods by what they are to the tests; the client and
    the server have a Pipy, each with its agent.
    """

    manifests: Manifests
    client: PipyPod
    server: PipyPod
    thief: Namespace
    node: Namespace
    agents: dict[str, Process]


@pytest.fixture
def shop(serve: Serve, network: Network, stack: ExitStack) -> Iterator[Shop]:
    manifests, pod = serve(WITH_A_SERVICE)
    close(manifests)
    client = pod("curl", "curl.curl")
    server = pod(SERVER, f"{SERVER}.bookstore", http_port=15907)
    agents = {one.name: one.child() for one in (client, server)}
    for agent in agents.values():
        agent.start()
        stack.callback(agent.stop)
    thief = network.pods[THIEF]
    with without_redirect(thief):
        yield Shop(manifests, client, server, thief, network.control, agents)
