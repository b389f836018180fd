"""What all tests share: golden files, and the rule for tests that need more of the machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from support.alerts import needs as alerts
from support.clients import needs as clients
from support.cpu_limit import cpu_limit
from support.dataplane import needs as dataplane
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network, open_network
from support.fast import needs as fast
from support.kube import needs as kube
from support.longest_first import sort_longest_first
from support.page import needs as browser
from support.pipy import needs as pipy
from support.suggestions import explain_and_apply
from towpath.telemetry.logs import OURS

PASSED = pytest.StashKey[bool]()

# The gate tries the same examples each time, and HYPOTHESIS_PROFILE=prove ten times as many; with
# HYPOTHESIS_PROFILE=search each run tries others.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("prove", derandomize=True, deadline=None, max_examples=1000)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@dataclass(frozen=True)
class Need:
    """Tests with *mark* need something of the machine: they are skipped where *unmet* says why.

    With *variable* set to 1 in the environment, a skipped one counts as a failure.
    """

    mark: str
    variable: str
    unmet: Callable[[], str]

    @property
    def folder(self) -> Path:
        return Path(__file__).parent / self.mark

    @property
    def required(self) -> bool:
        return os.environ.get(self.variable) == "1"

    def fail_if_skipped(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and self.required:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"{self.variable}=1, and this test was skipped. {reason}"


NEEDS = (
    Need("dataplane", "TOWPATH_REQUIRE_DATAPLANE", dataplane.unmet),
    Need("kube", "TOWPATH_REQUIRE_KUBE", kube.unmet),
    Need("alerts", "TOWPATH_REQUIRE_ALERTS", alerts.unmet),
    Need("browser", "TOWPATH_REQUIRE_BROWSER", browser.unmet),
    Need("pipy", "TOWPATH_REQUIRE_PIPY", pipy.unmet),
    Need("clients", "TOWPATH_REQUIRE_CLIENTS", clients.unmet),
    Need("fast", "TOWPATH_REQUIRE_FAST", fast.unmet),
)

TRANSPORT = "TOWPATH_TRANSPORT"
os.environ.setdefault(TRANSPORT, "grpc")
"""What is not run on both transports is run on this one, whatever is installed."""


LIMITS_S = {"hypothesis": 300, "dataplane": 300, "kube": 300}
"""Seconds that a test of a kind may take, by its mark; others have `timeout` of pyproject.toml.

They end what hangs, and are many times what a test takes: a machine may be busy.
"""

UNIT = Path(__file__).parent / "unit"
UNIT_CPU_S = 10.0
"""Seconds of CPU time that a test in `unit` may take which is not of properties."""


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


@pytest.fixture(autouse=True)
def _suggestions_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the whole suite: whatever `explain` suggests allows what was asked."""
    monkeypatch.setattr("towpath.hub.hub.explain", explain_and_apply)


@pytest.fixture
def golden(request: pytest.FixtureRequest, case: Path) -> Iterator[Golden]:
    """Golden files of the folder that the test's own `case` names."""
    fixture = Golden(case, update=request.config.getoption("--update-golden"))
    yield fixture
    if request.node.stash.get(PASSED, False):
        fixture.finish()


@pytest.fixture(params=["grpc", pytest.param("fast", marks=pytest.mark.fast)])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that uses it is run on each transport, in this process and in those that it starts."""
    monkeypatch.setenv(TRANSPORT, request.param)
    return str(request.param)


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """A test that configures the process's logs configures them for itself alone."""
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network of every test that runs a sidecar; a process has one at a time."""
    with open_network() as opened:
        yield opened


@pytest.fixture(scope="session")
def hosts(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as started:
        started.serve(network)
        yield started


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # With --no-loadscope-reorder xdist hands files out as they were collected.
    if not config.getoption("loadscopereorder", default=True):
        sort_longest_first(items)
    for item in items:
        limits = [s for mark, s in LIMITS_S.items() if item.get_closest_marker(mark)]
        if limits and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(max(limits)))
    for need in NEEDS:
        marked = [item for item in items if item.get_closest_marker(need.mark)]
        if need.required and not marked:
            raise pytest.UsageError(f"{need.variable}=1, and no {need.mark} test was selected")
        if marked and (reason := need.unmet()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    if item.path.is_relative_to(UNIT) and not item.get_closest_marker("hypothesis"):
        with cpu_limit(UNIT_CPU_S):
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    for need in NEEDS:
        if item.get_closest_marker(need.mark):
            need.fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    for need in NEEDS:
        if collector.path.is_relative_to(need.folder):
            need.fail_if_skipped(report)
    return report
