"""All that is compared with the peers, and meshes of several sizes: `make bench`.

Prints each table as it is measured; with --write they go into a page. Needs Go and a C compiler.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench import workloads
from bench.aims import TITLES, Measured, rows
from bench.mesh.__main__ import SIZES, measured
from bench.mesh.page import Results
from bench.mesh.page import lines as of_mesh
from bench.page import machine, rewrite, table
from bench.peers.build import floor, program
from bench.push.contenders import BARE, FLOOR
from bench.workloads import Compared, Scale, names_of, ratio
from support.fast.needs import unmet


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000, help="of a push")
    parser.add_argument("--storm", type=int, default=10_000, help="connections at once")
    parser.add_argument("--endpoints", type=int, default=10_000, help="that ask for endpoints")
    parser.add_argument("--tls", type=int, default=1_000, help="connections by mutual TLS")
    parser.add_argument("--idle", type=int, default=5_000, help="streams that say nothing")
    parser.add_argument("--pushes", type=int, default=3, help="of each measurement")
    parser.add_argument("--variants", nargs="+", choices=("delta", "sotw"), default=("sotw",))
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="SERVICES:PODS")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="rewrite the tables of a page")
    asked = parser.parse_args()
    if why := unmet():
        print(f"without Towpath on its transport in Rust: {why}")
    scale = Scale(asked.streams, asked.storm, asked.endpoints, asked.tls, asked.idle, asked.pushes)
    programs = program(), floor()
    began = time.monotonic()

    def show(section: str, lines: Iterable[str]) -> None:
        text = [*lines, "", f"Measured by `make bench`: {machine()}"]
        print(
            f"\n{section}, after {time.monotonic() - began:.0f} s\n" + "\n".join(text), flush=True
        )
        if asked.write:
            rewrite(asked.write, section, text)

    pushes = {v: workloads.pushes(scale, v, programs) for v in asked.variants}
    show("pushes", _pushes(pushes))
    endpoint = workloads.endpoint(scale, programs)
    tls = workloads.mutual_tls(scale, programs)
    idle = workloads.idle(scale, programs)
    storm = workloads.storm(scale, programs)
    show("connections", _connections(scale, storm, endpoint, tls, idle))
    mesh: Results = measured(asked.sizes, rounds=asked.pushes)
    show("mesh", of_mesh(mesh))
    show("aims", table(TITLES, rows(Measured(pushes, storm, endpoint, tls, idle, mesh))))


def _pushes(pushes: Mapping[str, Mapping[int, Compared]]) -> list[str]:
    titles = ["variant", "resources, KB", "server", "CPU of a push and its ACK, µs"]
    titles += ["of grpc.aio's", "of the floor's", "last of all has it, ms", "KiB a stream"]
    return table(
        titles,
        [
            (
                variant,
                f"{size:,}, {one.response_kb:.0f}",
                name,
                f"{one.cpu_us:.0f}",
                *(f"{ratio(compared, name, base, 'cpu_us'):.2f}" for base in (BARE, FLOOR)),
                f"{one.last_ms:.0f}",
                f"{one.stream_kib:.0f}",
            )
            for variant, by_size in pushes.items()
            for size, compared in by_size.items()
            for name, one in compared.items()
        ],
    )


def _connections(
    scale: Scale, storm: Compared, endpoint: Compared, tls: Compared, idle: Mapping[str, float]
) -> list[str]:
    titles = ["server", f"{scale.storm:,} connect: last is served, s", "refusals", "MiB at most"]
    titles += [f"one endpoint of {scale.endpoints:,} streams: last has it, ms"]
    titles += ["mutual TLS: connect, ms of CPU", "KiB a stream"]
    titles += [f"{scale.idle:,} idle, % of a core"]

    def row(name: str) -> tuple[str, ...]:
        all_, one, by_tls = storm.get(name), endpoint.get(name), tls.get(name)
        cells = [name]
        if all_ is None:
            cells += ["", "", ""]
        else:
            cells += [f"{all_.connected_s:.1f}", f"{all_.refusals:,.0f}", f"{all_.peak_mib:,.0f}"]
        cells.append(f"{one.last_ms:.1f}" if one else "")
        cells += [f"{by_tls.connect_ms:.2f}", f"{by_tls.stream_kib:.0f}"] if by_tls else ["", ""]
        return (*cells, f"{idle[name]:.2f}" if name in idle else "")

    names = names_of([storm, endpoint, tls])
    return table(titles, [row(name) for name in dict.fromkeys([*names, *idle])])


if __name__ == "__main__":
    main()
