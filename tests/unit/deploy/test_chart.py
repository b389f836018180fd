"""`deploy/chart` is what `make chart` makes of `deploy/base` and `deploy/crds`.

What Helm makes of the chart is in tests/kube/test_helm.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from support.deploy import CRDS, DEPLOY
from towpath import __version__
from towpath.install.keys import KEYS

CHART = DEPLOY / "chart"


def texts(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_committed_chart_is_what_the_base_gives(tmp_path: Path) -> None:
    made = tmp_path / "chart"
    subprocess.run([sys.executable, DEPLOY / "generate.py", made], check=True)

    assert texts(made) == texts(CHART), "stale: run `make chart`"


def test_the_chart_has_each_definition_as_it_is() -> None:
    copies = {path.name: path.read_text() for path in (CHART / "crds").iterdir()}

    assert {path.name: f"---\n{path.read_text()}" for path in CRDS} == copies


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (__version__, __version__) == (chart["version"], chart["appVersion"])


def test_each_key_of_set_has_a_default_and_a_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    for name in KEYS:
        default, allowed = values, schema
        for part in name.split("."):
            assert part in allowed["propertyNames"]["enum"], name
            assert part in allowed["required"], name
            default, allowed = default[part], allowed["properties"][part]
    sections = {name.rpartition(".")[0] for name in KEYS}
    present = {f"{section}.{name}" for section in sections for name in _section(values, section)}
    assert set(KEYS) == present - sections


def _section(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values
