"""The order in which the gate hands out files to its workers: the longest first.

A file's tests stay together, so one that begins last keeps its worker busy when the others have
nothing left to do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SECONDS = {
    "kube": 150,
    "dataplane": 100,
    "conformance/xds/test_delta_contents.py": 180,
    "feature/test_logs.py": 170,
    "unit/sources/test_decode_misspelt.py": 170,
    "unit/xds/test_convergence.py": 150,
    "unit/sources/kube/test_faults.py": 150,
    "feature/test_agent.py": 110,
    "unit/planning/egress/test_limits.py": 85,
    "unit/deploy/test_manifests.py": 80,
    "feature/test_agent_revocation.py": 80,
    "feature/test_dashboard.py": 60,
    "feature/test_proxyless.py": 60,
    "browser": 60,
    "unit/encode/test_pipy_egress.py": 50,
    "unit/hub/test_egress_cost.py": 50,
    "unit/install/test_values.py": 50,
    "alerts": 40,
}
"""About how long a file takes, or each file of a folder, on a busy machine: only the order counts.

`--junitxml` of a run has the figures.
"""


def sort_longest_first(items: list[pytest.Item]) -> None:
    """Sort by file; files of which nothing is said come last, in the order of their names."""
    seconds = {path: _seconds(path) for path in {item.path for item in items}}
    items.sort(key=lambda item: -seconds[item.path])


def _seconds(path: Path) -> int:
    if not path.is_relative_to(TESTS):
        return 0
    name = path.relative_to(TESTS)
    return next((SECONDS[str(one)] for one in (name, *name.parents) if str(one) in SECONDS), 0)
