"""`tests/README.md`: the map of the suites names every suite and every part of the support code."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_the_checks_of_in_mesh_policy_name_tests_that_are_there() -> None:
    text = (TESTS / "dataplane" / "README.md").read_text()
    names = set(re.findall(r"`(test_\w+)`", text))
    defined = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert set() == names - defined
    assert len(names) > 30
