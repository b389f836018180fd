"""Measure how long the egress switch takes: from the file's change to the first changed behaviour.

Run it as root, by `make bench-toggle`; it prints figures and judges nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Sequence

from bench.rigs import rigs
from support.dataplane import needs
from support.dataplane.mesh import CURL_ALONE, WITH_A_SERVICE
from support.dataplane.rig import Rig
from towpath.encode.envoy.bootstrap import Transport

TOGGLES = 20
PAUSE_S = 0.1
"""Between two switches: changes close behind one another are held back and taken together."""
MESHES = {CURL_ALONE: "the client alone", WITH_A_SERVICE: "with a service"}


def main() -> int:
    """Print a table, one row for each mesh, protocol variant and direction."""
    if reason := needs.unmet():
        print(f"make bench-toggle {reason}", file=sys.stderr)
        return 2
    print(f"{TOGGLES} switches each way; milliseconds from the file's rename to the first effect")
    print(f"{'mesh':18} {'xDS':6} {'egress':6} {'min':>7} {'median':>7} {'max':>7}")
    for source, rig in rigs(MESHES):
        on, off = asyncio.run(_toggles(rig))
        _print_row(MESHES[source], rig.transport, "on", on)
        _print_row(MESHES[source], rig.transport, "off", off)
    return 0


async def _toggles(rig: Rig) -> tuple[list[float], list[float]]:
    """Milliseconds of each switching on, and of each switching off."""
    await rig.toggle(on=False)
    on: list[float] = []
    off: list[float] = []
    for _ in range(TOGGLES):
        for taken, way in ((on, True), (off, False)):
            await asyncio.sleep(PAUSE_S)
            taken.append(1000 * await rig.toggle(on=way))
    return on, off


def _print_row(mesh: str, transport: Transport, egress: str, taken: Sequence[float]) -> None:
    figures = (min(taken), statistics.median(taken), max(taken))
    columns = " ".join(f"{figure:7.1f}" for figure in figures)
    print(f"{mesh:18} {transport.name.lower():6} {egress:6} {columns}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
