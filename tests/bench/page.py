"""Tables of docs/performance.md, each between two marks that name it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path


def rewrite(page: Path, section: str, lines: Iterable[str]) -> None:
    """Replace what stands between the marks of *section*; ValueError if *page* has none."""
    begins, ends = (f"<!-- make bench, {section}: {word} -->" for word in ("begins", "ends"))
    before, mark, rest = page.read_text().partition(begins)
    _, other, after = rest.partition(ends)
    if not mark or not other:
        raise ValueError(f"{page} has no marks {begins} and {ends}")
    page.write_text("\n".join([before + begins, "", *lines, "", ends + after]))


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(titles)} |",
        "|---" * len(titles) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def machine() -> str:
    """What the figures above it were measured on, and how far they can be trusted."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    text = (
        f"Python {platform.python_version()} on {cores} cores of {platform.machine()}, "
        f"load {load:.1f} at the end."
    )
    if load > cores + 1:
        text += (
            " The machine did other work too: times of the clock are too long, and CPU differs by"
            " half from one run to the next, so compare figures of one table only."
        )
    return text
