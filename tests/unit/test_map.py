"""The maps of the code are whole: tests/README.md, ARCHITECTURE.md and what each package says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
ELSEWHERE = {"support"}  # has tables of its own


def _named() -> set[str]:
    return set(re.findall(r"`([\w./]+)`", (TESTS / "README.md").read_text()))


def test_the_map_names_every_suite() -> None:
    suites = {p.name for p in TESTS.iterdir() if p.is_dir() and not p.name.startswith(("_", "."))}
    conformance = {f"conformance/{suite}" for suite in ("osm", "xds")}

    assert set() == (suites | conformance) - {"conformance"} - ELSEWHERE - _named()


def test_the_map_names_every_part_of_the_support_code() -> None:
    support = {p.name for p in (TESTS / "support").iterdir() if not p.name.startswith("_")}

    assert set() == support - _named()
    assert len(support) > 20


def test_the_map_names_only_what_is_there() -> None:
    files = {name for name in _named() if name.endswith((".py", ".sh")) and "/" not in name}
    there = {p.name for p in TESTS.rglob("*") if p.suffix in {".py", ".sh"}}

    assert set() == files - there
    assert len(files) > 20


PAGES = ("checks.md", "dataplane/README.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_check_names_tests_that_are_there(page: str) -> None:
    rows = [line for line in (TESTS / page).read_text().splitlines() if line.startswith("| ")]
    checks = [row for row in rows if not row.startswith(("| nr", "|---"))]
    names = {row: set(re.findall(r"`(test_\w+)`", row)) for row in checks}
    defined = {
        name
        for path in (*TESTS.rglob("test_*.py"), *TESTS.rglob("prove_*.py"))
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert [] == [row for row, of_row in names.items() if not of_row]
    assert set() == set[str]().union(*names.values()) - defined
    assert len(checks) > 30


def test_no_line_is_left_without_a_check() -> None:
    rows = re.findall(r"^\| ([A-F]?\d+) \|", (TESTS / "checks.md").read_text(), re.MULTILINE)
    lines = {"A": 8, "B": 10, "C": 9, "D": 7, "E": 4, "F": 9}
    expected = {f"{part}{nr}" for part, last in lines.items() for nr in range(1, last + 1)}

    assert expected | {str(nr) for nr in range(24, 53)} == set(rows)


def test_each_figure_of_a_check_is_one_that_an_attack_prints() -> None:
    text = (TESTS / "checks.md").read_text()
    figures = set(re.findall(r"figures: `(\w+)`", text))
    attacks = {path.stem for path in (TESTS / "bench" / "hostile").glob("*.py")}

    assert set() == figures - attacks
    assert figures


PACKAGES = sorted((TESTS.parent / "server/towpath").rglob("__init__.py"))


def test_the_architecture_names_every_package() -> None:
    table = re.findall(r"^\| (`.+?`) \|", _architecture(), re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`([\w/]+)`", row)}
    packages = {path.parent.name for path in PACKAGES if path.parents[1].name == "towpath"}

    assert {"sources"} == packages - named  # whose three parts have rows
    assert {"sources/decode", "sources/files", "sources/kube"} <= named


def test_the_picture_has_every_module_beside_the_packages() -> None:
    picture = _architecture().split("```")[1]
    modules = {path.stem for path in (TESTS.parent / "server/towpath").glob("[a-z]*.py")}

    assert set() == {name for name in modules if name not in re.findall(r"\w+", picture)}


@pytest.mark.parametrize("path", PACKAGES[1:], ids=lambda path: path.parent.name)
def test_a_package_says_what_it_knows_nothing_of_and_where_to_begin(path: Path) -> None:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())

    assert re.search(r"\bnothing of ", text), text
    assert re.search(r"\b[Bb]egin (reading )?with ", text), text


def _architecture() -> str:
    return (TESTS.parent / "ARCHITECTURE.md").read_text()
