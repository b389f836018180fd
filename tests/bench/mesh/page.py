"""The figures as a table of docs/performance.md, between two marks."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from bench.mesh.measure import Figures
from bench.mesh.picture import Size

BEGINS, ENDS = "<!-- make bench: begins -->", "<!-- make bench: ends -->"


Results = Mapping[Size, tuple[Mapping[str, Figures], float, float]]
"""For each size: figures by what was done, and KiB of memory for each stream."""


def rewrite(page: Path, variant: str, results: Results) -> None:
    """Replace the table of *page*."""
    before, _, rest = page.read_text().partition(BEGINS)
    _, mark, after = rest.partition(ENDS)
    if not mark:
        raise ValueError(f"{page} has no marks {BEGINS} and {ENDS}")
    lines = [BEGINS, "", _machine(variant), "", *_table(results), "", ENDS]
    page.write_text(before + "\n".join(lines) + after)


def _machine(variant: str) -> str:
    return (
        f"Variant {variant}, Python {platform.python_version()} on {os.cpu_count()} cores of "
        f"{platform.machine()}, load {os.getloadavg()[0]:.1f} at the end. With a load above the "
        "number of cores the machine did other work too, and the figures are too high."
    )


def _table(results: Results) -> list[str]:
    titles = ["services / pods / sidecars", "what", "CPU each, ms", "last has it, s"]
    titles += ["longest turn, ms", "responses each", "KiB a stream"]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for size, (figures, stream_kib, _) in results.items():
        of = f"{size.services:,} / {size.pods:,} / {size.sidecars:,}"
        rows += [
            f"| {of} | {name} | {one.cpu_ms:.2f} | {one.last_s:.2f} | {one.hold_ms:.0f} "
            f"| {one.responses:.1f} | {stream_kib:.0f} |"
            for name, one in figures.items()
        ]
    return rows
