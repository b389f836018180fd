"""One contender measured: what a push to all sidecars costs it, and when the last one has it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.push.contenders import Case, Contender, serving
from bench.push.process import SIDECARS, Program

SETTLES_S = 0.3
"""After the last response: acknowledgements are read, and what is left to do is done."""


@dataclass(frozen=True)
class Figures:
    """Medians of some pushes: microseconds of the server's CPU for each sidecar that it is sent to,
    the milliseconds until half of these, and the last, have it, responses for each of them; KiB of
    memory for each stream, and the KB of a first response. Of connecting: milliseconds of the
    server's CPU for each stream, the seconds until the last one has its first response, how often
    one was refused; and the MiB that the server had at most.
    """

    cpu_us: float
    median_ms: float
    last_ms: float
    responses: float
    stream_kib: float
    response_kb: float
    connect_ms: float
    connected_s: float
    refusals: float
    peak_mib: float


def measure(name: str, case: Case, *, rounds: int) -> Figures:
    """Connect all sidecars of *case* to a contender, push to them, and end both."""
    count, expected = len(case.mesh.nodes), case.subscribers()
    with connected(name, case) as (contender, sidecars, connecting):
        stream_kib = (contender.program.rss_kib() - connecting.before_kib) / count
        # The first warms everything up.
        pushes = [_push(contender, sidecars, expected) for _ in range(rounds + 1)][1:]
        peak_mib = contender.program.peak_kib() / 1024
    cpu, median, last, responses = (statistics.median(one) for one in zip(*pushes, strict=True))
    return Figures(
        cpu / expected,
        median,
        last,
        responses / expected,
        stream_kib,
        connecting.bytes / count / 1000,
        connecting.cpu_us / count / 1000,
        connecting.last_ms / 1000,
        connecting.refusals,
        peak_mib,
    )


@dataclass(frozen=True)
class Connecting:
    """What it took until all sidecars had their first response."""

    before_kib: int
    cpu_us: float
    last_ms: float
    bytes: int
    refusals: int


@contextmanager
def connected(name: str, case: Case) -> Iterator[tuple[Contender, Program, Connecting]]:
    """A contender and the sidecars, which all have their first response, until the block ends."""
    nodes = case.folder / "nodes"
    nodes.write_text("\n".join(case.lines()) + "\n")
    with serving(name, case) as contender:
        before_kib, before_us = contender.program.rss_kib(), contender.program.cpu_us()
        command = [str(case.peers), "sidecars", contender.address, case.variant, str(nodes)]
        with Program(
            [*command, case.type_url],
            place=SIDECARS,
            log=case.folder / "sidecars.log",
            environment=case.environment(),
        ) as sidecars:
            last, size, refusals = sidecars.hear("connected").split()[1:]
            time.sleep(SETTLES_S)
            cpu_us = contender.program.cpu_us() - before_us
            connecting = Connecting(before_kib, cpu_us, float(last), int(size), int(refusals))
            yield contender, sidecars, connecting


def _push(
    contender: Contender, sidecars: Program, expected: int
) -> tuple[float, float, float, float]:
    sidecars.tell(f"expect {expected}")
    sidecars.hear("expecting")
    before = contender.program.cpu_us()
    contender.push()
    median, last, responses = map(float, sidecars.hear().split())
    time.sleep(SETTLES_S)
    return contender.program.cpu_us() - before, median, last, responses
