"""Replay the manual's pages on egress, and say how each step went.

Run it as root, by `make demo`; it exits with 0 if every step went as the page has it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from demo.passthrough import PassthroughPage
from demo.policy import PolicyPage
from demo.steps import Step, run
from support.dataplane import needs
from support.dataplane.bootstrap import Transport
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import WITH_POLICIES, Manifests
from support.dataplane.network import Network, open_network
from support.dataplane.rig import open_rig


def main() -> int:
    """Print the steps; returns the exit code."""
    if reason := needs.unmet():
        print(f"make demo {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folder))
        hosts.serve(network)
        print("The manual's page on egress passthrough, on a real Envoy\n")
        passed = _passthrough(network, hosts, folder / "passthrough")
        print("The manual's demo of egress policies, on a real Envoy\n")
        passed += _policy(network, hosts, folder / "policy")
    print(f"{sum(passed)} of {len(passed)} steps passed")
    return 0 if all(passed) else 1


def _passthrough(network: Network, hosts: Hosts, folder: Path) -> list[bool]:
    folder.mkdir()
    with ExitStack() as stack:
        return _run(PassthroughPage(stack, network, hosts, folder).steps())


def _policy(network: Network, hosts: Hosts, folder: Path) -> list[bool]:
    folder.mkdir()
    manifests = Manifests(WITH_POLICIES, folder / "manifests")
    with open_rig(network, hosts, manifests, transport=Transport.DELTA, folder=folder) as rig:
        return _run(PolicyPage(rig).steps())


def _run(steps: Iterator[Step]) -> list[bool]:
    return [run(number, step) for number, step in enumerate(steps, 1)]


if __name__ == "__main__":
    sys.exit(main())
