"""`towpath problems`: exit codes, what is listed, and the documents for pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from support.manifests import ACCOUNT, BASE, EGRESS, GROUP, with_matches
from support.schema import violations
from towpath.cli import main
from towpath.cli.sarif import sarif
from towpath.model.codes import Code, Severity
from towpath_api.v1 import inspector_pb2 as pb

FAULTS = {
    Severity.ERROR: EGRESS.replace("443", "70000"),
    Severity.WARNING: EGRESS.replace("https}", "tcp}"),
    Severity.INFO: GROUP,
}
# The standard's own schema, of the parts that are written: what is required, types, values.
ESSENTIALS = yaml.safe_load((Path(__file__).parent / "sarif.schema.yaml").read_text())


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ("problems", "--manifests", str(folder), *map(str, options)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, document in enumerate(BASE):
        (tmp_path / f"{number}.yaml").write_text(document)
    return tmp_path


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("fail_on", [*Severity, "none"])
def test_the_exit_code_is_one_from_the_chosen_severity_on(
    folder: Path, severity: Severity, fail_on: str
) -> None:
    (folder / "fault.yaml").write_text(FAULTS[severity])
    fails = fail_on != "none" and severity.rank <= Severity(fail_on).rank

    assert int(fails) == run(folder, "--fail-on", fail_on).exit_code


def test_notes_alone_do_not_fail_and_warnings_do(folder: Path) -> None:
    (folder / "fault.yaml").write_text(FAULTS[Severity.INFO])
    assert 0 == run(folder).exit_code

    (folder / "other.yaml").write_text(FAULTS[Severity.WARNING])
    assert 1 == run(folder).exit_code


def test_a_line_has_the_place_the_code_and_the_severity_the_gravest_first(folder: Path) -> None:
    (folder / "a.yaml").write_text(GROUP)
    (folder / "b.yaml").write_text(
        with_matches(("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", "gone"))
    )
    done = run(folder)

    assert [
        ("error: b.yaml:2: Egress shop/out spec.matches: Missing: ", "[missing-route]"),
        ("warning: b.yaml:2: Egress shop/out spec.matches: NotSupp", "[matches-without-effect]"),
        ("info: a.yaml:2: HTTPRouteGroup shop/routes: NotSupported", "[unused-object]"),
    ] == [(line[:56], line.split()[-1]) for line in done.stdout.splitlines()]
    assert "3 problems: 1 error, 1 warning, 1 info\n" == done.stderr


def test_what_is_ignored_is_neither_listed_nor_counted(folder: Path) -> None:
    (folder / "fault.yaml").write_text(FAULTS[Severity.WARNING])
    done = run(folder, "--ignore", Code.HOSTS_WITHOUT_EFFECT)

    assert (0, "", "0 problems\n") == (done.exit_code, done.stdout, done.stderr)


def test_a_code_that_does_not_exist_is_refused(folder: Path) -> None:
    done = run(folder, "--ignore", "hosts")

    assert 2 == done.exit_code
    assert "'hosts' is not one of 'unreadable-file', " in done.stderr


def test_json_is_the_same_without_any_problem(folder: Path) -> None:
    counts = {"error": 0, "warning": 0, "info": 0}
    expected = {"problems": [], "counts": counts, "unanswered": {}}

    assert expected == json.loads(run(folder, "-o", "json").stdout)


def test_json_has_every_part_of_a_problem(folder: Path) -> None:
    (folder / "fault.yaml").write_text(GROUP)
    document = json.loads(run(folder, "-o", "json").stdout)

    assert {"error": 0, "warning": 0, "info": 1} == document["counts"]
    assert [
        {
            "code": "unused-object",
            "severity": "info",
            "reason": "NotSupported",
            "kind": "HTTPRouteGroup",
            "namespace": "shop",
            "name": "routes",
            "field": "",
            "message": "no Egress, TrafficSplit or TrafficTarget refers to it: no effect",
            "source": "fault.yaml:2",
        }
    ] == document["problems"]


def test_every_form_of_a_listing_is_there(folder: Path) -> None:
    (folder / "fault.yaml").write_text(GROUP)
    document = json.loads(run(folder, "-o", "json").stdout)
    table = run(folder, "-o", "table", "--fail-on", "info")
    wide = run(folder, "-o", "wide")

    assert document == yaml.safe_load(run(folder, "-o", "yaml").stdout)
    assert "HTTPRouteGroup/shop/routes\n" == run(folder, "-o", "name").stdout
    assert (1, "1 problem: 1 info\n") == (table.exit_code, table.stderr)
    row = ["info", "HTTPRouteGroup", "shop/routes", "-", "unused-object", "no"]
    assert row == table.stdout.splitlines()[1].split()[:6]
    assert "fault.yaml:2" in wide.stdout
    assert "fault.yaml:2" not in table.stdout


def test_sarif_is_valid_and_points_at_the_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a b").mkdir()
    for number, severity in enumerate(Severity):
        text = FAULTS[severity].replace("name: out", f"name: out-{number}")
        (folder / "a b" / f"{number}.yaml").write_text(text)
    monkeypatch.chdir(folder.parent)
    document = _sarif(folder)
    results = document["runs"][0]["results"]

    assert ["error", "error", "warning", "note"] == [result["level"] for result in results]
    assert {
        "artifactLocation": {"uri": f"{folder.name}/a%20b/0.yaml", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 2},
    } == results[0]["locations"][0]["physicalLocation"]


def test_a_result_has_the_rule_that_explains_it(folder: Path) -> None:
    (folder / "fault.yaml").write_text(GROUP + "---\n" + FAULTS[Severity.WARNING])
    (run_,) = _sarif(folder)["runs"]
    rules = run_["tool"]["driver"]["rules"]

    assert [Code.HOSTS_WITHOUT_EFFECT, Code.UNUSED_OBJECT] == [rule["id"] for rule in rules]
    for result in run_["results"]:
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"]
        assert result["level"] == rules[result["ruleIndex"]]["defaultConfiguration"]["level"]


def test_the_fingerprint_of_a_fault_stays_when_its_line_moves(folder: Path) -> None:
    (folder / "fault.yaml").write_text(GROUP)
    before = _sarif(folder)["runs"][0]["results"][0]
    (folder / "fault.yaml").write_text(f"{ACCOUNT}---\n{GROUP}")
    after = _sarif(folder)["runs"][0]["results"][0]

    assert before["partialFingerprints"] == after["partialFingerprints"]
    assert before["locations"] != after["locations"]


def test_what_is_wrong_with_no_file_has_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "{apiVersion: example.org/v1, kind: Other, metadata: {name: a}}"
    )
    results = _sarif(tmp_path)["runs"][0]["results"]
    place = results[0]["locations"][0]["physicalLocation"]

    assert {"artifactLocation": {"uri": tmp_path.as_uri()}} == place


def test_a_code_of_a_newer_server_is_a_rule_by_its_name() -> None:
    problem = pb.Problem(kind="Pod", name="a", code="new-fault", severity="error", message="no")
    document = sarif([problem], None)

    assert [] == violations(ESSENTIALS, document, "$")
    (rule,) = document["runs"][0]["tool"]["driver"]["rules"]
    assert {"id": "new-fault", "shortDescription": {"text": "new-fault"}} == rule


def _sarif(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(folder, "-o", "sarif").stdout)
    assert [] == violations(ESSENTIALS, document, "$")
    return document
