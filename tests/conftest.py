"""What all tests share: golden files, and the rule for tests that need a data plane."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from support.dataplane import needs

REQUIRE_DATAPLANE = "TOWPATH_REQUIRE_DATAPLANE"
"""Set to 1 where a skipped data-plane test must count as a failure."""

DATAPLANE_TESTS = Path(__file__).parent / "dataplane"
PASSED = pytest.StashKey[bool]()


class Golden:
    """The expected outputs of one case: the files `out.*` in its folder."""

    def __init__(self, folder: Path, *, update: bool) -> None:
        self._folder = folder
        self._update = update
        self._checked: set[str] = set()

    def check(self, name: str, text: str) -> None:
        """Compare *text* with the file `out.<...>` of that name; with --update-golden, write it."""
        assert name.startswith("out."), f"golden file {name!r}: the name must start with 'out.'"
        self._checked.add(name)
        path = self._folder / name
        if self._update:
            path.write_text(text)
        assert path.is_file(), f"{path} is missing: run `make golden`"
        assert text == path.read_text(), f"{path} differs: run `make golden` and review the change"

    def finish(self) -> None:
        """No file may be left that nothing was compared with; with --update-golden, remove it."""
        left = sorted(p for p in self._folder.glob("out.*") if p.name not in self._checked)
        if self._update:
            for path in left:
                path.unlink()
        else:
            assert not left, f"golden files that no test checks: {left}: run `make golden`"


@pytest.fixture
def golden(request: pytest.FixtureRequest, case: Path) -> Iterator[Golden]:
    """Golden files of the folder that the test's own `case` names."""
    held = Golden(case, update=request.config.getoption("--update-golden"))
    yield held
    if request.node.stash.get(PASSED, False):
        held.finish()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("dataplane")]
    if _dataplane_required() and not marked:
        raise pytest.UsageError(f"{REQUIRE_DATAPLANE}=1, and no data-plane test was selected")
    if marked and (reason := needs.unmet()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    if item.get_closest_marker("dataplane"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.path.is_relative_to(DATAPLANE_TESTS):
        _fail_if_skipped(report)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and _dataplane_required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_DATAPLANE}=1, and this test was skipped. {reason}"


def _dataplane_required() -> bool:
    return os.environ.get(REQUIRE_DATAPLANE) == "1"
