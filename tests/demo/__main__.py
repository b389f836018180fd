"""Replay the manual's pages on egress, and docs/observe.md, and say how each step went.

Run it as root, by `make demo`, or by `make demo-kube` on a real API server; it exits with 0 if
every step went as the page has it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from demo.closing import closing
from demo.cluster import KubeHands
from demo.folder import FolderHands
from demo.hands import Hands
from demo.passthrough import passthrough
from demo.policy import policy
from demo.steps import Step, run
from support.dataplane import needs
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network, open_network
from support.kube import needs as kube_needs
from support.kube.injecting import installed, kubelet_of

PAGES: dict[str, Callable[[Hands], Iterator[Step]]] = {
    "The manual's page on egress passthrough": passthrough,
    "The manual's demo of egress policies": policy,
    "docs/observe.md: an open mesh is closed": closing,
}


def main() -> int:
    """Print the steps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kube", action="store_true", help="on a real API server, with kubectl")
    kube = parser.parse_args().kube
    if reason := needs.unmet() or (kube_needs.unmet() if kube else ""):
        print(f"make demo{'-kube' if kube else ''} {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folder))
        hosts.serve(network)
        opened = _cluster(stack, network, hosts, folder / "cluster") if kube else None
        passed: list[bool] = []
        for number, (title, page) in enumerate(PAGES.items()):
            where = "a real API server and a real Envoy" if kube else "a real Envoy"
            print(f"{title}, on {where}\n")
            with ExitStack() as own:
                hands = opened or _folder(own, network, hosts, folder / str(number))
                passed += [run(n, step) for n, step in enumerate(page(hands), 1)]
    print(f"{sum(passed)} of {len(passed)} steps passed")
    print("A mesh on a web page: make run; in a cluster, towpath dashboard (docs/dashboard.md)")
    return 0 if all(passed) else 1


def _folder(stack: ExitStack, network: Network, hosts: Hosts, folder: Path) -> FolderHands:
    folder.mkdir()
    return FolderHands(stack, network, hosts, folder)


def _cluster(stack: ExitStack, network: Network, hosts: Hosts, folder: Path) -> Hands:
    folder.mkdir()
    injecting = stack.enter_context(installed(folder, network))
    return KubeHands(injecting, stack.enter_context(kubelet_of(injecting)), hosts)


if __name__ == "__main__":
    sys.exit(main())
