"""A variable is named by a noun: a participle says neither what it is nor of which type."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import towpath

SERVER = Path(towpath.__file__).parent
PACKAGES = ("access", "admin", "app", "ca", "cli", "install", "settings", "telemetry")
PARTICIPLES = {
    *("answered", "asked", "found", "gone", "held", "known", "made"),
    *("named", "said", "shown", "told", "tried", "wanted"),
}


def variables(source: str) -> Iterator[tuple[str, int]]:
    """Each variable and parameter, with the line where it gets its value."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_variables_are_nouns(package: str) -> None:
    files = sorted((SERVER / package).rglob("*.py"))
    participles = [
        f"{path.relative_to(SERVER)}:{line}: {name}"
        for path in files
        for name, line in variables(path.read_text())
        if name in PARTICIPLES
    ]

    assert files
    assert [] == participles


def test_every_kind_of_variable_is_seen() -> None:
    source = """
def f(held, *, found):
    made = lambda asked: asked
    for known in (said := made): ...
    with f() as told: ...
"""

    assert {"held", "found", "made", "asked", "known", "said", "told"} == {
        name for name, _ in variables(source)
    }
