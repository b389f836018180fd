"""Sidecars beside a server that follows a folder, for benchmarks that change the folder's files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from support.dataplane.hosts import Hosts
from support.dataplane.mesh import Manifests
from support.dataplane.network import open_network
from support.dataplane.rig import Rig, open_rig
from towpath.encode.envoy.bootstrap import Transport


def rigs(sources: Iterable[Path]) -> Iterator[tuple[Path, Rig]]:
    """One after the other, of each folder of manifests with each variant of the protocol."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folder))
        hosts.serve(network)
        for source in sources:
            for transport in Transport:
                here = folder / f"{source.name}-{transport.name}"
                here.mkdir()
                manifests = Manifests(source, here / "manifests")
                with open_rig(network, hosts, manifests, transport=transport, folder=here) as rig:
                    yield source, rig
