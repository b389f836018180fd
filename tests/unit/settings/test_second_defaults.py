"""A default stands with the setting's declaration, and nowhere else in the server."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import towpath
from towpath.settings import all_settings

SERVER = Path(towpath.__file__).parent
NOTHING = (None, "", 0, False)
"""What a parameter may have in place of a value."""


def _is_value(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value not in NOTHING


def _defaults(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Names of parameters, fields and options of commands, each with its default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            last = positional[len(positional) - len(node.defaults) :]
            yield from ((arg.arg, value) for arg, value in zip(last, node.defaults, strict=True))
            yield from (
                (arg.arg, value)
                for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)
            )
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value
        elif isinstance(node, ast.Call):
            flags = [a.value for a in node.args if isinstance(a, ast.Constant)]
            values = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
            for flag in filter(lambda flag: isinstance(flag, str), flags):
                yield from ((str(flag).lstrip("-").replace("-", "_"), value) for value in values)


def _second_defaults(source: str) -> list[str]:
    names = all_settings().keys()
    return sorted(
        {name for name, value in _defaults(ast.parse(source)) if name in names and _is_value(value)}
    )


def test_no_setting_has_a_default_outside_its_declaration() -> None:
    second = {
        str(path.relative_to(SERVER)): names
        for path in sorted(SERVER.rglob("*.py"))
        if "settings" not in path.relative_to(SERVER).parts[:1]
        and (names := _second_defaults(path.read_text()))
    }

    assert {} == second


def test_each_kind_of_second_default_is_found() -> None:
    source = """
class Limits:
    max_names: int = 20
    max_streams: int
def serve(canaries=2, *, answer_wait=1.0, read_wait): ...
option("--mesh-name", default="osm")
option("--osm-namespace", default=SETTINGS.osm_namespace)
"""

    assert ["answer_wait", "canaries", "max_names", "mesh_name"] == _second_defaults(source)
