"""The table of checks in README.md names tests that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
ROW = re.compile(r"^\| (\d+) \|.*\| (.*) \|$", re.MULTILINE)


def rows() -> list[tuple[int, str]]:
    return [
        (int(number), tests) for number, tests in ROW.findall((FOLDER / "README.md").read_text())
    ]


def named(tests: str) -> Iterator[tuple[str, str]]:
    """Each test that a row names, behind its file."""
    for part in tests.split("; "):
        file, *names = re.findall(r"`(\S+)`", part)
        yield from ((file, name) for name in names)


def test_each_check_has_a_row() -> None:
    assert [*range(1, 24)] == [number for number, _ in rows()]


def test_each_test_that_a_row_names_exists() -> None:
    pairs = [pair for _, tests in rows() for pair in named(tests)]
    missing = [
        (file, name) for file, name in pairs if f"def {name}(" not in (FOLDER / file).read_text()
    ]

    assert [] == missing
    assert len(pairs) > 23
