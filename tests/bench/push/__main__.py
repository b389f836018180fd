"""What a push to 1,000 sidecars costs Towpath, beside servers that send the same resources.

Every contender runs in a process of its own on one core, the sidecars in one on another; Towpath
is `towpath serve` on a folder, with canaries, and its push is a manifest that changes. Each server
is measured several times, in turn with the others. Ratios compare CPU with the bare server of the
same library, grpc.aio, and with the floor: a server in C that only sends bytes; other figures
depend on the machine. Needs Go and a C compiler, and takes some minutes.
"""

from __future__ import annotations

import argparse
import os

from bench.peers.build import floor, program
from bench.push.compare import CONTENDERS, case_of, compare
from bench.push.contenders import BARE, FLOOR
from bench.push.measure import Figures
from support.fast.needs import unmet

SIZES = (7, 141, 1418)
VARIANTS = ("sotw", "delta")


def main() -> None:
    """Print a table for each variant and size."""
    parser = argparse.ArgumentParser(prog="bench.push", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--pushes", type=int, default=5, help="pushes of each measurement")
    parser.add_argument("--times", type=int, default=2, help="measurements of each contender")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="RESOURCES")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    asked = parser.parse_args()
    if why := unmet():
        print(f"without Towpath on its transport in Rust: {why}")
    programs = program(), floor()
    print(f"{asked.streams} streams, median of {asked.times} x {asked.pushes} pushes", flush=True)
    for variant in asked.variants:
        for size in asked.sizes:
            with case_of(variant, clusters=size, streams=asked.streams, programs=programs) as case:
                figures = compare(case, asked.contenders, pushes=asked.pushes, times=asked.times)
            _print(variant, size, figures)


def _print(variant: str, size: int, figures: dict[str, Figures]) -> None:
    kb = next(iter(figures.values())).response_kb
    print(f"\n{variant}, {size} resources, {kb:.0f} KB; load {os.getloadavg()[0]:.1f}")
    titles = (
        "of grpc.aio",
        "of floor",
        "µs CPU",
        "half, ms",
        "last, ms",
        "responses",
        "KiB/stream",
    )
    print(f"{'':16}" + "".join(f"{title:>12}" for title in titles))
    for name, one in figures.items():
        row = [
            f"{one.cpu_us / other.cpu_us:.2f}" if (other := figures.get(base)) else ""
            for base in (BARE, FLOOR)
        ]
        row += [f"{one.cpu_us:.0f}", f"{one.median_ms:.1f}", f"{one.last_ms:.1f}"]
        row += [f"{one.responses:.2f}", f"{one.stream_kib:.1f}"]
        print(f"{name:16}" + "".join(f"{text:>12}" for text in row), flush=True)


if __name__ == "__main__":
    main()
