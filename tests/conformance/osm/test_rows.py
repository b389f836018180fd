"""Every row has a test by its ID, and stands in the table."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
LAST = {"C": 11, "T": 8, "L": 11, "R": 5, "D": 9, "S": 3, "V": 4, "G": 11}
ROWS = {f"{kind}{number}" for kind, last in LAST.items() for number in range(1, last + 1)}


def test_every_row_has_a_test_that_is_named_by_it() -> None:
    names = [
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^def test_((?:[A-Z]\d+_)+)", path.read_text(), re.MULTILINE)
    ]

    assert {row for name in names for row in name.rstrip("_").split("_")} == ROWS


def test_every_row_stands_in_the_table_once() -> None:
    text = (HERE / "README.md").read_text()
    told = [
        row
        for cell in re.findall(r"^\| ([A-Z]\d[^|a-z]*) \|", text, re.MULTILINE)
        for row in _expanded(cell)
    ]

    assert sorted(told) == sorted(ROWS)


def _expanded(cell: str) -> list[str]:
    """The rows that `T6, T8` or a range of them stands for."""
    rows = []
    for part in cell.split(","):
        kind, numbers = part.strip()[0], [int(number) for number in re.findall(r"\d+", part)]
        rows += [f"{kind}{number}" for number in range(numbers[0], numbers[-1] + 1)]
    return rows
