"""The manual's pages, with kubectl on a real API server and a real Envoy in the pod's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.cluster import KubeHands
from demo.hands import Hands
from demo.passthrough import passthrough
from demo.policy import policy
from demo.steps import Step
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network
from support.kube.cluster import Cluster
from support.kube.mesh import open_kube_mesh

pytestmark = [pytest.mark.kube, pytest.mark.dataplane, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hands(cluster: Cluster, network: Network, hosts: Hosts) -> Iterator[Hands]:
    with open_kube_mesh(cluster, network, hosts) as mesh:
        yield KubeHands(mesh)


def follow(steps: Iterator[Step]) -> int:
    """Carry all steps out; gives how many went as the page has it."""
    count = 0
    for step in steps:
        seen = step.act()
        assert seen.passed, f"{step.title}: {seen.done}: {seen.outcome}"
        count += 1
    return count


def test_p1_to_p5_passthrough(hands: Hands) -> None:
    assert 8 == follow(passthrough(hands))


def test_e0_to_e18_policies(hands: Hands) -> None:
    assert 30 == follow(policy(hands))
