"""Measure how long an API server takes to create pods at once, injected and not.

Run it as root, by `make bench-injection`; it prints figures and judges nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from support.dataplane import needs
from support.dataplane.hosts import Hosts
from support.dataplane.network import open_network
from support.kube import needs as kube_needs
from support.kube.creation import Created, create_at_once
from support.kube.injecting import Injecting, account, installed

ROUNDS = 5


def main() -> int:
    """Print a table, one row without injection and one with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=100, help="how many pods at once")
    count = parser.parse_args().pods
    if reason := needs.unmet() or kube_needs.unmet():
        print(f"make bench-injection {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folder))
        hosts.serve(network)
        injecting = stack.enter_context(installed(folder, network))
        _measure(injecting, count)
    return 0


def _measure(injecting: Injecting, count: int) -> None:
    print(f"{count} pods created at once, {ROUNDS} times; seconds until all are stored")
    print(f"{'namespace':15} {'min':>6} {'median':>6} {'max':>6}  slowest pod, ms")
    for name in ("not in the mesh", "injected"):
        rounds = [_round(injecting, f"n{number}", name, count) for number in range(ROUNDS)]
        taken = [one.seconds for one in rounds]
        figures = (min(taken), statistics.median(taken), max(taken))
        slowest = max(max(one.each) for one in rounds) * 1000
        print(f"{name:15} " + " ".join(f"{one:6.2f}" for one in figures) + f"  {slowest:.0f}")


def _round(injecting: Injecting, number: str, name: str, count: int) -> Created:
    namespace = f"{name.replace(' ', '-')}-{number}"
    if name == "injected":
        injecting.join(namespace)
    else:
        injecting.cluster.kubectl("create", "namespace", namespace)
    injecting.cluster.apply(account("default", namespace))
    created = asyncio.run(create_at_once(injecting.cluster, namespace, count))
    containers = 2 if name == "injected" else 0
    assert {(201, containers)} == {
        (status, len(one["spec"].get("initContainers", ()))) for status, one in created.answers
    }
    return created


if __name__ == "__main__":
    sys.exit(main())
