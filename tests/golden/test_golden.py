"""Golden cases: what `towpath render` and `towpath problems` print for a small mesh.

The first line of a case's `in.yaml` is `# sidecar: POD.NAMESPACE [TYPE ...]`: whose snapshot, and
which resource types of it (all, if none is named). `make golden` rewrites `out.*`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from towpath.app import Offline
from towpath.cli.render import as_text, render_snapshot
from towpath.model.names import SidecarId

if TYPE_CHECKING:
    from conftest import Golden

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/in.yaml"))


@pytest.fixture(params=CASES, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_what_a_sidecar_gets(case: Path, golden: Golden, tmp_path: Path) -> None:
    manifests = case / "in.yaml"
    shutil.copy(manifests, tmp_path)
    sidecar, *types = _heading(manifests)

    mesh = Offline(tmp_path, mesh_name="osm", osm_namespace="osm-system")
    rendered = render_snapshot(mesh, SidecarId.parse(sidecar))
    assert rendered is not None, f"no pod of {sidecar} in {manifests}"
    chosen = {name: held for name, held in rendered.items() if not types or name in types}
    assert chosen.keys() >= set(types)

    golden.check("out.yaml", as_text(chosen, output="yaml"))
    if problems := mesh.problems():
        golden.check("out.problems.txt", "".join(f"{problem}\n" for problem in problems))


def _heading(manifests: Path) -> list[str]:
    first, _ = manifests.read_text().split("\n", 1)
    prefix = "# sidecar: "
    assert first.startswith(prefix), f"{manifests}: the first line must begin with {prefix!r}"
    return first.removeprefix(prefix).split()
