"""docs/ci.md: its workflow is one, its commands run, and its table is what is assumed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from support.manifests import DEPLOYMENT, SERVICE
from support.schema import violations
from towpath.cli import main
from towpath.model.codes import Code, Reason

PAGE = (Path(__file__).parents[3] / "docs/ci.md").read_text()


def _workflow() -> Any:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return yaml.load(block, yaml.BaseLoader)


def _commands(job: str) -> list[list[str]]:
    runs = [step["run"] for step in _workflow()["jobs"][job]["steps"] if "run" in step]
    return [shlex.split(run.partition(" > ")[0])[1:] for run in runs if run.startswith("towpath ")]


def test_the_workflow_ends_well_on_a_healthy_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh/web.yaml").write_text(f"{SERVICE}---\n{DEPLOYMENT}")
    monkeypatch.chdir(tmp_path)
    schema = yaml.safe_load((Path(__file__).parent / "sarif.schema.yaml").read_text())
    document, lines = (CliRunner().invoke(main, one) for one in _commands("problems"))

    assert (0, 0) == (document.exit_code, lines.exit_code), document.output + lines.output
    assert [] == violations(schema, json.loads(document.stdout), "$")


def test_the_document_is_uploaded_before_anything_can_fail() -> None:
    first, second = _commands("problems")

    assert "none" == first[first.index("--fail-on") + 1]
    assert "--fail-on" not in second


def test_the_options_of_the_comparison_exist() -> None:
    (command,) = _commands("access")
    old, new, *options = command[1:]
    done = CliRunner().invoke(main, ["diff", old, new, *options, "--help"])

    assert 0 == done.exit_code
    assert ["-o", "markdown"] == options


def test_the_table_has_each_assumption() -> None:
    assert {code.value for code in Code if code.reason is Reason.ASSUMED} == set(
        re.findall(r"\[(assumed-[a-z-]+)\]\(problems\.md#\1\)", PAGE)
    )
