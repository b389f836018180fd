"""Measure the egress switch of a cluster: from `kubectl patch` returning to changed behaviour.

Run it as root, by `make bench-toggle-kube`; it prints figures and judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from support.dataplane import needs
from support.dataplane.clients import Outcome, until_outcome
from support.dataplane.hosts import Hosts
from support.dataplane.network import open_network
from support.dataplane.rig import OUTSIDE_HTTP
from support.kube import needs as kube_needs
from support.kube.cluster import Cluster, kubectl_binary
from support.kube.mesh import KubeMesh, install, open_kube_mesh

TOGGLES = 20
PAUSE_S = 0.1
"""Between two switches: changes close behind one another are held back and taken together."""


def main() -> int:
    """Print a table, one row for each direction."""
    if reason := needs.unmet() or kube_needs.unmet():
        print(f"make bench-toggle-kube {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as temporary, ExitStack() as stack:
        folders = {name: Path(temporary) / name for name in ("hosts", "cluster")}
        for folder in folders.values():
            folder.mkdir()
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folders["hosts"]))
        hosts.serve(network)
        cluster = stack.enter_context(Cluster(folders["cluster"]))
        install(cluster)
        mesh = stack.enter_context(open_kube_mesh(cluster, network, hosts))
        mesh.start_client()
        asyncio.run(_measure(mesh))
    return 0


async def _measure(mesh: KubeMesh) -> None:
    # Each way from where kubectl begins, too: most of that is kubectl's own start.
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(TOGGLES):
        for egress, on in (("on", True), ("off", False)):
            await asyncio.sleep(PAUSE_S)
            begun, returned, obeyed = await _toggle(mesh, on=on)
            taken.setdefault((egress, "kubectl's return"), []).append(1000 * (obeyed - returned))
            taken.setdefault((egress, "kubectl's start"), []).append(1000 * (obeyed - begun))
    print(f"{TOGGLES} switches each way; milliseconds to the first changed request through Envoy")
    print(f"{'egress':6} {'since':16} {'min':>7} {'median':>7} {'max':>7}")
    for (egress, since), found in taken.items():
        figures = (min(found), statistics.median(found), max(found))
        print(f"{egress:6} {since:16} " + " ".join(f"{figure:7.1f}" for figure in figures))


async def _toggle(mesh: KubeMesh, *, on: bool) -> tuple[float, float, float]:
    """The moments of kubectl's start, of its return, and of the first changed request.

    Behaviour may change before kubectl returns: its start and end are much of what it takes.
    """
    change = json.dumps({"spec": {"traffic": {"enableEgress": on}}})
    wanted = Outcome.ANSWERED if on else Outcome.REFUSED
    obeys = asyncio.create_task(until_outcome(mesh.pod, OUTSIDE_HTTP, wanted))
    begun = time.perf_counter()
    kubectl = await asyncio.create_subprocess_exec(
        *(str(kubectl_binary()), "--kubeconfig", str(mesh.cluster.kubeconfig())),
        *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
        *("-p", change, "--type=merge"),
        stdout=subprocess.DEVNULL,
    )
    assert await kubectl.wait() == 0
    returned = time.perf_counter()
    return begun, returned, await obeys


if __name__ == "__main__":
    sys.exit(main())
