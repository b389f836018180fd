"""`towpath render --type sidecar` and `towpath problems --client pipy` as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.messages import contains
from towpath.cli import main

MANUAL = {"Spec": {"SidecarLogLevel": "error", "Traffic": {"EnableEgress": True}}}
DEMO = Path(__file__).parents[2] / "deploy" / "demo"
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def withheld(tmp_path: Path) -> Path:
    """A mesh with policies that Pipy sidecars cannot hold to."""
    shutil.copy(GOLDEN / "pipy-withheld" / "in.yaml", tmp_path)
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def _render(folder: Path, *more: str) -> Result:
    return _run("render", "--manifests", str(folder), "--type", "sidecar", "--sidecar", *more)


def test_it_prints_the_manuals_json_once_egress_is_on(tmp_path: Path) -> None:
    for path in (DEMO / "passthrough").glob("*.yaml"):
        text = path.read_text().replace("enableEgress: false", "enableEgress: true")
        (tmp_path / path.name).write_text(text)
    result = _render(tmp_path, "curl.curl")

    assert result.exit_code == 0
    assert contains(json.loads(result.stdout), MANUAL)
    assert "" == result.stderr


def test_equal_input_gives_equal_bytes_and_version(withheld: Path, tmp_path: Path) -> None:
    once, again = _render(withheld, "curl.curl"), _render(withheld, "curl.curl")
    source = withheld / "in.yaml"
    documents = source.read_text().split("\n---\n")
    source.write_text("\n---\n".join(reversed(documents)))

    assert once.stdout == again.stdout == _render(tmp_path, "curl.curl").stdout
    assert json.loads(once.stdout)["Version"]


def test_what_is_withheld_goes_to_standard_error(withheld: Path) -> None:
    result = _render(withheld, "curl.curl")

    assert result.exit_code == 0
    assert "Egress curl/any-tls spec.ports: NotEnforceable: pipy sidecars do not" in result.stderr
    assert "any-tls" not in result.stdout


def test_a_pod_that_does_not_exist_is_an_error(withheld: Path) -> None:
    result = _render(withheld, "ghost.curl")

    assert result.exit_code == 2
    assert "no Pod curl/ghost" in result.stderr


def test_problems_of_a_kind_of_client_are_told_when_asked_for(withheld: Path) -> None:
    plain = _run("problems", "--manifests", str(withheld))
    pipy = _run("problems", "--manifests", str(withheld), "--client", "pipy")

    assert "NotEnforceable" not in plain.stdout
    assert pipy.exit_code == 1
    assert 9 == pipy.stdout.count("NotEnforceable")
