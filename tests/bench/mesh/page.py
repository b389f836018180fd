"""The figures as a table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping

from bench.mesh.measure import Figures
from bench.mesh.picture import Size
from bench.page import table

Results = Mapping[Size, tuple[Mapping[str, Figures], float, float]]
"""For each size: figures by what was done, KiB of memory for each stream and MiB of
objects."""


def lines(results: Results) -> list[str]:
    titles = ["services / pods / sidecars", "what", "CPU each, ms", "last has it, s"]
    titles += ["longest turn, ms", "responses each", "KiB a stream"]
    return table(
        titles,
        [
            (
                f"{size.services:,} / {size.pods:,} / {size.sidecars:,}",
                name,
                f"{one.cpu_ms:.2f}",
                f"{one.last_s:.2f}",
                f"{one.hold_ms:.0f}",
                f"{one.responses:.1f}",
                f"{stream_kib:.0f}",
            )
            for size, (figures, stream_kib, _) in results.items()
            for name, one in figures.items()
        ],
    )
