"""What `tests/conftest.py` promises: no silent skip of the data plane, no stale golden file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.longest_first import SECONDS

TESTS = Path(__file__).resolve().parents[1]
SKIPPED = """
import pytest
@pytest.mark.dataplane
def test_it(): pytest.skip("no tunnel here")
"""
TWO_FILES = """
import pathlib, pytest
@pytest.fixture
def case(): return pathlib.Path(__file__).parent / "case"
def test_it(golden):
    golden.check("out.a.yaml", "a: 1")
    golden.check("out.b.yaml", "b: 1")
"""

OF_EACH_KIND = """
import hypothesis, pytest
from hypothesis import strategies
@hypothesis.given(strategies.none())
def test_property(none): pass
@pytest.mark.dataplane
def test_envoy(): pytest.skip("no tunnel here")
@pytest.mark.dataplane
@pytest.mark.timeout(7)
def test_own(): pytest.skip("no tunnel here")
def test_it(): pass
"""
IN_UNIT = """
import time
def test_busy():
    while True: pass
def test_idle(): time.sleep(0.3)
"""
TEST_B_IS_LONG = """
from support import longest_first
longest_first.TESTS = Path(__file__).parent
longest_first.SECONDS = {"test_b.py": 60}
"""
PRINT_LIMITS = """
def pytest_collection_finish(session):
    for item in session.items:
        marker = item.get_closest_marker("timeout")
        print(f"{item.name} = {marker.args[0] if marker else ''}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This project's conftest, and a golden case that has one right file and one old one."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n dataplane: x\n kube: x\n")
    case = tmp_path / "case"
    case.mkdir()
    (case / "out.a.yaml").write_text("a: 1")
    (case / "out.old.yaml").write_text("old: 1")
    return tmp_path


def run(
    project: Path, test: str, *options: str, require: str = "0", file: str = "test_it.py"
) -> tuple[int, str]:
    (project / file).write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options],
        cwd=project,
        env={name: v for name, v in os.environ.items() if "_REQUIRE_" not in name}
        | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(TESTS),
            "TOWPATH_REQUIRE_DATAPLANE": require,
            "TOWPATH_REQUIRE_KUBE": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def files(project: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (project / "case").iterdir()}


def test_a_skipped_data_plane_test_is_a_failure_where_it_is_required(project: Path) -> None:
    status, output = run(project, SKIPPED, require="1")

    assert status == pytest.ExitCode.TESTS_FAILED
    assert "this test was skipped" in output


def test_a_skipped_data_plane_test_is_a_skip_elsewhere(project: Path) -> None:
    status, output = run(project, SKIPPED)

    assert status == pytest.ExitCode.OK
    assert "1 skipped" in output


def test_a_run_without_data_plane_tests_is_an_error_where_they_are_required(project: Path) -> None:
    status, output = run(project, "def test_it(): pass", require="1")

    assert status == pytest.ExitCode.USAGE_ERROR
    assert "no dataplane test was selected" in output


def test_a_golden_file_that_is_missing_fails(project: Path) -> None:
    status, output = run(project, TWO_FILES)

    assert status == pytest.ExitCode.TESTS_FAILED
    assert "out.b.yaml is missing: run `make golden`" in output


def test_a_golden_file_that_nothing_checks_fails(project: Path) -> None:
    (project / "case" / "out.b.yaml").write_text("b: 1")
    status, output = run(project, TWO_FILES)

    assert status == pytest.ExitCode.TESTS_FAILED
    assert "golden files that no test checks" in output


def test_a_golden_file_that_differs_fails_and_stays(project: Path) -> None:
    before = files(project) | {"out.b.yaml": "b: 2"}
    (project / "case" / "out.b.yaml").write_text("b: 2")
    status, _ = run(project, TWO_FILES)

    assert (status, files(project)) == (pytest.ExitCode.TESTS_FAILED, before)


def test_update_writes_what_is_missing_and_removes_what_is_old(project: Path) -> None:
    status, _ = run(project, TWO_FILES, "--update-golden")

    assert (status, files(project)) == (0, {"out.a.yaml": "a: 1", "out.b.yaml": "b: 1"})


def test_each_kind_of_test_has_its_time_limit_and_a_test_may_have_another(project: Path) -> None:
    (project / "conftest.py").write_text((project / "conftest.py").read_text() + PRINT_LIMITS)
    _, output = run(project, OF_EACH_KIND, "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")

    said = dict(line.split(" = ") for line in output.splitlines() if " = " in line)
    assert {"test_property": "300", "test_envoy": "300", "test_own": "7", "test_it": ""} == said


def test_a_test_of_a_unit_may_take_so_much_cpu_time_and_wait_longer(project: Path) -> None:
    shorter = (project / "conftest.py").read_text() + "\nUNIT_CPU_S = 0.2\n"
    (project / "conftest.py").write_text(shorter)
    (project / "unit").mkdir()
    status, output = run(project, IN_UNIT, file="unit/test_it.py")

    assert pytest.ExitCode.TESTS_FAILED == status
    assert "test_busy - Failed: it took more than 0.2 s of CPU time" in output
    assert "1 failed, 1 passed" in output


@pytest.mark.parametrize(
    ("options", "order"),
    [(("--no-loadscope-reorder",), ["test_b.py", "test_a.py"]), ((), ["test_a.py", "test_b.py"])],
    ids=["gate", "other"],
)
def test_the_gate_hands_out_the_longest_files_first_and_no_other_run_does(
    project: Path, options: tuple[str, ...], order: list[str]
) -> None:
    (project / "conftest.py").write_text((project / "conftest.py").read_text() + TEST_B_IS_LONG)
    (project / "test_a.py").write_text("def test_it(): pass")
    _, output = run(
        project, "def test_it(): pass", "-p", "xdist", "--collect-only", *options, file="test_b.py"
    )

    assert order == sorted(("test_a.py", "test_b.py"), key=output.index)


def test_each_file_of_which_the_gate_knows_how_long_it_takes_is_there() -> None:
    assert [] == [name for name in SECONDS if not (TESTS / name).exists()]
