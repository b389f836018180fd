"""Fixtures of the tests on a real Pipy: a mesh, its control plane, and agents that end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.dataplane.hosts import Hosts
from support.dataplane.mesh import Manifests
from support.dataplane.network import Network
from support.dataplane.towpath import Towpath
from support.pipy.agent import PipyPod

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
