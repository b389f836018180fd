"""What manifests quote never moves a terminal's cursor, whichever command says it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.manifests import ACCOUNT, BASE, EGRESS
from towpath.cli import main

ESCAPE = "\x1b]0;x\x07\x9b1m\u202e"
WRITTEN = re.compile(r"\\(x1b|u001b)\]0;x")
COLOURS = re.compile("\x1b\\[(0|3[0-9])m")
"""Those of a table are its own."""

SPECS = "specs.smi-spec.io/v1alpha4"
PORT = "80, protocol: http"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """A mesh, and the same with a policy, a group, a host and a field of an ugly name."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        for number, document in enumerate(BASE):
            (folder / f"{number}.yaml").write_text(document)
        (folder / "account.yaml").write_text(ACCOUNT)
    ugly_name = EGRESS.replace("name: out", f"name: {json.dumps('out' + ESCAPE)}")
    (new / "policy.yaml").write_text(ugly_name)
    reference = {"apiGroup": SPECS, "kind": "HTTPRouteGroup", "name": "ugly"}
    ugly_path = EGRESS.replace("443, protocol: https", PORT)
    (new / "path.yaml").write_text(f"{ugly_path}  matches: [{json.dumps(reference)}]\n")
    group = {
        "apiVersion": SPECS,
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "ugly", "namespace": "shop"},
        "spec": {"matches": [{"name": "m", "pathRegex": f"/{ESCAPE}", "methods": ["GET"]}]},
    }
    (new / "group.json").write_text(json.dumps(group))
    return str(old), str(new)


@pytest.mark.parametrize("output", ["text", "table", "wide", "name"])
def test_problems(folders: tuple[str, str], output: str) -> None:
    _, new = folders
    _check("problems", "--manifests", new, "-o", output)


@pytest.mark.parametrize("output", ["text", "markdown"])
def test_differences(folders: tuple[str, str], output: str) -> None:
    _check("diff", *folders, "-o", output)


def test_explanations(folders: tuple[str, str]) -> None:
    _, new = folders
    question = ("--from", "shop/cart", "--to", "http://example.com/x")
    _check("explain", "--manifests", new, *question)


def test_an_error_that_quotes_a_file(folders: tuple[str, str]) -> None:
    old, new = folders
    Path(new, "group.json").write_text(f"{{{ESCAPE}")

    assert 2 == _check("diff", old, new, written=False)


def _check(*command: str, written: bool = True) -> int:
    """The exit code of a command that says what others wrote as it may be said."""
    done = CliRunner().invoke(main, command, color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    text = COLOURS.sub("", done.output)
    assert not [c for c in text if not c.isprintable() and c != "\n"], done.output
    if written:
        assert WRITTEN.search(text), done.output
    return done.exit_code
