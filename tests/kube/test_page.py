"""The manual's pages from `install` on, with kubectl on a real API server that injects the client,
and docs/observe.md to its end: a real Envoy runs as the stored pod says.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.closing import closing
from demo.cluster import KubeHands
from demo.hands import Hands
from demo.passthrough import passthrough
from demo.policy import policy
from demo.steps import Step
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network
from support.kube.injecting import installed, kubelet_of

pytestmark = [pytest.mark.kube, pytest.mark.dataplane, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hands(
    tmp_path_factory: pytest.TempPathFactory, network: Network, hosts: Hosts
) -> Iterator[Hands]:
    with (
        installed(tmp_path_factory.mktemp("page"), network) as injecting,
        kubelet_of(injecting) as kubelet,
    ):
        yield KubeHands(injecting, kubelet, hosts)


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
    assert 34 == follow(policy(hands))


def test_c0_to_c9_an_open_mesh_is_closed(hands: Hands) -> None:
    assert 14 == follow(closing(hands))
