"""docs/operate.md says of each setting what its declaration says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from towpath.settings import all_settings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/operate.md"


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_settings_are_those_of_the_declarations() -> None:
    text = PAGE.read_text()

    assert _generate().operate(text) == text, "run: make tables"


def test_each_setting_is_there_once_and_nothing_else() -> None:
    generate = _generate()
    _, _, rest = PAGE.read_text().partition(generate.BEGIN)
    tables, end, _ = rest.partition(generate.END)

    assert end
    assert list(all_settings()) == [
        flag.replace("-", "_") for flag in re.findall(r"^\| `--([\w-]+)", tables, re.MULTILINE)
    ]


def test_what_stands_around_the_tables_stays() -> None:
    generate = _generate()
    text = f"before\n{generate.BEGIN}| obsolete |\n{generate.END}after\n"

    made = generate.operate(text)
    assert made.startswith(f"before\n{generate.BEGIN}\n### ")
    assert made.endswith(f"\n{generate.END}after\n")
    assert "obsolete" not in made
