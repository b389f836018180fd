"""One contender measured: what a push to all sidecars costs it, and when the last one has it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from bench.push.contenders import Case, Contender, serving
from bench.push.process import SIDECARS, Program
from towpath.model.types import CLUSTER

SETTLES_S = 0.3
"""After the last response: acknowledgements are read, and what is left to do is done."""


@dataclass(frozen=True)
class Figures:
    """Medians of some pushes: microseconds of the server's CPU for each sidecar and push, the
    milliseconds until half of the sidecars, and the last, have it, responses for each sidecar;
    KiB of memory for each stream, and the KB of a response.
    """

    cpu_us: float
    median_ms: float
    last_ms: float
    responses: float
    stream_kib: float
    response_kb: float


def measure(name: str, case: Case, *, rounds: int) -> Figures:
    """Connect all sidecars of *case* to a contender, push to them, and end both."""
    nodes = case.folder / "nodes"
    count = len(case.mesh.nodes)
    with serving(name, case) as contender:
        before = contender.program.rss_kib()
        command = [str(case.peers), "sidecars", contender.address, case.variant, str(nodes)]
        log = case.folder / "sidecars.log"
        with Program([*command, CLUSTER], place=SIDECARS, log=log) as sidecars:
            connected = sidecars.hear("connected").split()
            time.sleep(SETTLES_S)
            stream_kib = (contender.program.rss_kib() - before) / count
            # The first warms everything up.
            pushes = [_push(contender, sidecars) for _ in range(rounds + 1)][1:]
    cpu, median, last, responses = (statistics.median(one) for one in zip(*pushes, strict=True))
    size = int(connected[2]) / count / 1000
    return Figures(cpu / count, median, last, responses / count, stream_kib, size)


def _push(contender: Contender, sidecars: Program) -> tuple[float, float, float, float]:
    sidecars.tell("expect")
    sidecars.hear("expecting")
    before = contender.program.cpu_us()
    contender.push()
    median, last, responses = map(float, sidecars.hear().split())
    time.sleep(SETTLES_S)
    return contender.program.cpu_us() - before, median, last, responses
