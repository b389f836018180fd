"""The README's table and the tests say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
CHECKS = range(1, 87)
SCENARIOS = range(1, 19)
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def _tests() -> dict[str, set[str]]:
    """By file: the names of its tests."""
    return {
        path.stem: {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        }
        for path in HERE.glob("test_*.py")
    }


def _tested() -> dict[int, set[str]]:
    """By check: the files that have a test of it, as their names say."""
    found: dict[int, set[str]] = {}
    for file, names in _tests().items():
        for name in names:
            numbers = re.match(r"test_((?:\d+_)+)", name)
            for number in re.findall(r"\d+", numbers.group(1) if numbers else ""):
                found.setdefault(int(number), set()).add(file)
    return found


def test_every_check_is_in_the_table_once() -> None:
    numbers = [int(row[0]) for row in ROW.findall((HERE / "README.md").read_text())]

    assert numbers == list(CHECKS)


def test_the_table_names_the_files_that_test_a_check_or_says_why_none_does() -> None:
    tested = _tested()
    for number, _, where in ROW.findall((HERE / "README.md").read_text()):
        files = tested.get(int(number), set())
        if files:
            assert set(re.findall(r"`(test_\w+)`", where)) == files, f"check {number}"
        else:
            assert where.startswith("not applicable: "), f"check {number} has no test"


def test_every_test_of_a_check_names_it_in_its_docstring() -> None:
    for path in HERE.glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if numbers := re.match(r"test_((?:\d+_)+)", node.name):
                first = re.split(r"[;.:]", ast.get_docstring(node) or "")[0]
                assert first.startswith("Check"), node.name
                assert _numbers(first) == set(map(int, numbers.group(1).strip("_").split("_")))


def _numbers(text: str) -> set[int]:
    """`Checks 1, 3 and 5 to 7` are five."""
    found = set(map(int, re.findall(r"\d+", text)))
    for first, last in re.findall(r"(\d+) to (\d+)", text):
        found |= set(range(int(first), int(last)))
    return found


def test_every_scenario_of_the_harness_has_a_test() -> None:
    names = _tests()["test_harness"]

    assert {
        int(found.group(1)) for name in names if (found := re.match(r"test_scenario_(\d+)_", name))
    } == set(SCENARIOS)
