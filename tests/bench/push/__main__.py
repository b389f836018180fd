"""What a push to 1,000 sidecars costs Towpath, beside servers that send the same resources.

Every contender runs in a process of its own on one core, the sidecars in one on another; Towpath
is `towpath serve` on a folder, with canaries, and its push is a manifest that changes. Each server
is measured several times, in turn with the others. Ratios compare CPU with the bare server of the
same library, grpc.aio; other figures depend on the machine. Needs Go, and takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from bench.peers.build import program
from bench.push.capture import capture
from bench.push.contenders import BARE, FAST, IN_GO, TOWPATH, Case
from bench.push.measure import Figures, measure
from bench.push.mesh import Mesh
from support.fast.needs import unmet

SIZES = (7, 141, 1418)
VARIANTS = ("sotw", "delta")
CONTENDERS = (TOWPATH, *(() if unmet() else (FAST,)), BARE, *IN_GO)


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
    peers = program()
    print(f"{asked.streams} streams, median of {asked.times} x {asked.pushes} pushes", flush=True)
    for variant in asked.variants:
        for size in asked.sizes:
            with tempfile.TemporaryDirectory() as name:
                case = _case(Path(name), variant, size, asked.streams, peers)
                figures = _compare(case, asked.contenders, pushes=asked.pushes, times=asked.times)
            _print(variant, size, figures)


def _case(folder: Path, variant: str, size: int, streams: int, peers: Path) -> Case:
    manifests = folder / "manifests"
    manifests.mkdir()
    mesh = Mesh(manifests, clusters=size, sidecars=streams)
    (folder / "nodes").write_text("\n".join(mesh.nodes) + "\n")
    case = Case(folder, mesh, variant, peers)
    capture(case)
    return case


def _compare(case: Case, names: list[str], *, pushes: int, times: int) -> dict[str, Figures]:
    measured: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(times):
        for name in names:
            measured[name].append(measure(name, case, rounds=pushes))
    return {name: _middle(figures) for name, figures in measured.items()}


def _middle(figures: list[Figures]) -> Figures:
    return Figures(*(statistics.median(each) for each in zip(*map(_row, figures), strict=True)))


def _row(one: Figures) -> tuple[float, ...]:
    return (
        one.cpu_us,
        one.median_ms,
        one.last_ms,
        one.responses,
        one.stream_kib,
        one.response_kb,
    )


def _print(variant: str, size: int, figures: dict[str, Figures]) -> None:
    kb = next(iter(figures.values())).response_kb
    print(f"\n{variant}, {size} resources, {kb:.0f} KB; load {os.getloadavg()[0]:.1f}")
    print(
        f"{'':16} {'of grpc.aio':>11} {'µs CPU':>8} {'half, ms':>9} {'last, ms':>9} "
        f"{'responses':>9} {'KiB/stream':>10}"
    )
    bare = figures.get(BARE)
    for name, one in figures.items():
        ratio = f"{one.cpu_us / bare.cpu_us:.2f}" if bare else ""
        print(
            f"{name:16} {ratio:>11} {one.cpu_us:8.0f} {one.median_ms:9.1f} {one.last_ms:9.1f} "
            f"{one.responses:9.2f} {one.stream_kib:10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
