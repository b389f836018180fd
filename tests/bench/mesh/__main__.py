"""What a change costs in a mesh of many services, pods and sidecars, and how that grows.

Each size is measured in a process of its own: the hub, the sessions and the streams of a server
with sidecars that subscribe as Envoy does, without gRPC and a network, whose cost `make bench-push`
measures. CPU is the server's alone. A *hold* is how long one turn of the event loop takes.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
from collections.abc import Sequence
from dataclasses import astuple
from typing import NamedTuple

from bench.mesh.measure import Figures, run
from bench.mesh.picture import Picture, Size
from bench.mesh.targets import TARGETS, WithTargets, recompute

TARGETS_SIZE = Size(1_000, 10_000, 10_000)
SIZES = ("100:1000", "1000:1000", "1000:10000", "5000:10000")


class Result(NamedTuple):
    """One size's figures by what was done, the KiB of memory for each stream, and the MiB for the
    objects of the mesh.
    """

    figures: dict[str, Figures]
    stream_kib: float
    objects_mib: float


def main() -> None:
    """Print a table for each size, then how each figure grows with services and pods."""
    parser = argparse.ArgumentParser(prog="bench.mesh", description=__doc__)
    parser.add_argument("--sidecars", type=int, default=1000)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="SERVICES:PODS")
    parser.add_argument("--variants", nargs="+", choices=("delta", "sotw"), default=("delta",))
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each change")
    parser.add_argument("--names", type=int, default=0, help="services each asks for; 0: all")
    parser.add_argument("--targets", action="store_true", help="only the mesh with TrafficTargets")
    asked = parser.parse_args()
    for variant in asked.variants:
        delta = variant == "delta"
        with_targets = _apart(TARGETS_SIZE, delta=delta, rounds=asked.rounds, picture=WithTargets)
        print(f"\n{TARGETS:,} TrafficTargets, an account for each service:", end="")
        _print(variant, TARGETS_SIZE, with_targets)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            again = pool.apply(recompute, (TARGETS_SIZE,), {"rounds": asked.rounds})
        for name, (microseconds, groups) in again.items():
            print(f"{name}: {microseconds:,.0f} us of CPU to compute it, for {groups} groups")
        if asked.targets:
            continue
        options = {"rounds": asked.rounds, "sidecars": asked.sidecars, "names": asked.names}
        _print_slopes(measured(asked.sizes, delta=delta, **options))


def measured(
    sizes: Sequence[str],
    *,
    rounds: int,
    delta: bool = True,
    sidecars: int = 1000,
    names: int = 0,
) -> dict[Size, Result]:
    """Figures of each size, SERVICES:PODS, which are printed as they are there."""
    results = {}
    for text in sizes:
        services, pods = map(int, text.split(":"))
        size = Size(services, pods, min(sidecars, pods), names)
        results[size] = _apart(size, delta=delta, rounds=rounds)
        _print("delta" if delta else "sotw", size, results[size])
    return results


def _apart(size: Size, *, delta: bool, rounds: int, picture: type[Picture] = Picture) -> Result:
    """Measured in a new process, so that sizes do not share memory."""
    options = {"delta": delta, "rounds": rounds, "picture": picture}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured, *memory = pool.apply(run, (size,), options)
    return Result({name: _middle(each) for name, each in measured.items()}, *memory)


def _middle(figures: list[Figures]) -> Figures:
    return Figures(*map(statistics.median, zip(*map(astuple, figures), strict=True)))


def _print(variant: str, size: Size, result: Result) -> None:
    names = f" of {size.names} services" if size.names else ""
    print(
        f"\n{variant}: {size.services:,} services, {size.pods:,} pods, {size.sidecars:,} sidecars"
        f"{names}; {result.objects_mib:.0f} MiB of objects, {result.stream_kib:.0f} KiB a stream; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    head = ("ms CPU each", "ms CPU", "last, s", "hold, ms", "responses", "KB", "sidecars")
    print(f"{'':16}" + "".join(f"{text:>13}" for text in head))
    for name, one in result.figures.items():
        row = [f"{one.cpu_ms:.3f}", f"{one.total_ms:.0f}", f"{one.last_s:.2f}"]
        row += [f"{one.hold_ms:.0f}", f"{one.responses:.2f}", f"{one.kb:.1f}"]
        row += [f"{one.sidecars:.0f}"]
        print(f"{name:16}" + "".join(f"{text:>13}" for text in row), flush=True)


def _print_slopes(results: dict[Size, Result]) -> None:
    """Between sizes that differ in one thing: by how much that is more, and what it costs more."""
    sizes = list(results)
    for at, one in enumerate(sizes):
        for other in sizes[at + 1 :]:
            grown = [
                (what, getattr(other, what) / getattr(one, what))
                for what in ("services", "pods", "sidecars")
                if getattr(other, what) != getattr(one, what)
            ]
            if len(grown) != 1:
                continue
            (what, times) = grown[0]
            print(f"\n{what} {getattr(one, what):,} to {getattr(other, what):,} ({times:g}x):")
            for name, before in results[one].figures.items():
                ratio = results[other].figures[name].total_ms / before.total_ms
                power = math.log(ratio) / math.log(times) if ratio > 0 else math.nan
                print(f"  {name:14} CPU {ratio:6.2f}x (power {power:.2f})")


if __name__ == "__main__":
    main()
