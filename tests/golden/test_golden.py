"""Golden cases: what `towpath render` and `towpath problems` print for a small mesh.

The first line of a case's `in.yaml` is `# sidecar: POD.NAMESPACE [TYPE ...]`: whose snapshot, and
which resource types of it (all, if none is named); `# grpc: …` asks as gRPC's own client, and so on
for each kind of client; of pipy the config.json is checked. `make golden` rewrites `out.*`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from towpath.app import Offline
from towpath.cli.render import as_text, render_pipy, render_snapshot
from towpath.model.names import ClientKind, SidecarId
from towpath.model.problem import Problem

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
    client, sidecar, types = _heading(manifests)

    mesh = Offline(tmp_path, mesh_name="osm", osm_namespace="osm-system")
    if client is ClientKind.PIPY:
        config = render_pipy(mesh, SidecarId.parse(sidecar))
        assert config is not None, f"no pod of {sidecar} in {manifests}"
        golden.check("out.config.json", config)
        _check_problems(golden, mesh.problems(client))
        return
    rendered = render_snapshot(mesh, SidecarId.parse(sidecar), client=client)
    assert rendered is not None, f"no pod of {sidecar} in {manifests}"
    chosen = {name: held for name, held in rendered.items() if not types or name in types}
    assert chosen.keys() >= set(types)

    golden.check("out.yaml", as_text(chosen, output="yaml"))
    _check_problems(golden, mesh.problems())


def _check_problems(golden: Golden, problems: Iterable[Problem]) -> None:
    if text := "".join(f"{problem}\n" for problem in problems):
        golden.check("out.problems.txt", text)


def _heading(manifests: Path) -> tuple[ClientKind, str, list[str]]:
    first, _ = manifests.read_text().split("\n", 1)
    prefixes = {"# sidecar: ": ClientKind.ENVOY, **{f"# {kind}: ": kind for kind in ClientKind}}
    for prefix, kind in prefixes.items():
        if first.startswith(prefix):
            sidecar, *types = first.removeprefix(prefix).split()
            return kind, sidecar, types
    raise AssertionError(f"{manifests}: the first line must begin with one of {[*prefixes]}")
