"""`towpath render -o summary` as a person types it, for each kind of client."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from towpath.cli import main

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("inbound", ("web-1.shop",)),
        ("proxyless", ("web-1.shop", "--client", "grpc")),
        ("pipy-in-mesh", ("web-1.shop", "--client", "pipy")),
        ("pipy-in-mesh", ("web-1.shop", "--client", "pipy", "--type", "sidecar")),
    ],
)
def test_it_prints_the_summary(case: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    lines = _render(case, tmp_path, *arguments, "-o", "summary")

    expected = (GOLDEN / case / "out.summary.txt").read_text().splitlines()
    assert [line for line in expected if line not in lines] == []


def test_it_can_be_of_one_type(tmp_path: Path) -> None:
    lines = _render("inbound", tmp_path, "web-1.shop", "-o", "summary", "--type", "rds")

    assert {"routes"} == {line.split()[0] for line in lines if not line.startswith(" ")}


def test_a_shell_completes_it() -> None:
    complete = BashComplete(main, {}, "towpath", "_TOWPATH_COMPLETE")

    assert ["summary"] == [one.value for one in complete.get_completions(["render", "-o"], "s")]


def _render(case: str, folder: Path, *arguments: str) -> list[str]:
    """The lines that are printed of a golden case's mesh."""
    shutil.copy(GOLDEN / case / "in.yaml", folder)
    command = ["render", "--manifests", str(folder), "--sidecar", *arguments]
    result = CliRunner().invoke(main, command)
    assert 0 == result.exit_code, result.output
    return result.stdout.splitlines()
