"""Check 48: a mesh without marked pods gets byte for byte what it would get of a server that knows
nothing of mutual TLS, whatever its MeshConfig says of it.

`make compare-bytes` holds the same meshes against the code of an earlier commit.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from support.objects import mesh_of
from towpath.app import Offline
from towpath.hub.compose import snapshot
from towpath.model.identity import MODES, MtlsMode
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import ClientKind, Kind
from towpath.model.types import SECRET
from towpath.model.workloads import Pod
from towpath.planning.identity import MARK
from towpath.settings import MeshSettings

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/in.yaml"))
UNMARKED = [case for case in CASES if f"{MARK[0]}:" not in (case / "in.yaml").read_text()]
Bytes = Mapping[tuple[str, ...], bytes]


@pytest.mark.parametrize("case", UNMARKED, ids=lambda case: case.name)
def test_check_48_without_marked_pods_neither_authority_nor_mode_changes_a_byte(
    case: Path, tmp_path: Path
) -> None:
    shutil.copy(case / "in.yaml", tmp_path)
    mesh = Offline(tmp_path, MeshSettings()).mesh
    plain = _all(mesh_of(*mesh.objects.values()))

    assert mesh.roots() is not None
    assert plain
    for mode in MODES:
        assert plain == _all(_with_mode(mesh, mode)), mode


def test_most_of_the_golden_meshes_have_no_marked_pods() -> None:
    assert len(UNMARKED) > 25
    assert 0 < len(CASES) - len(UNMARKED) < 5


def _all(mesh: Mesh) -> Bytes:
    """Every resource of every pod for every kind of client."""
    pods = [one for one in mesh.group(Kind.POD, "all") if isinstance(one, Pod)]
    snapshots = [
        (str(kind), pod.sidecar, snapshot(mesh, kind, pod.sidecar))
        for kind in ClientKind
        for pod in pods
    ]
    return {
        (kind, str(pod), type_url, name): resource.packed
        for kind, pod, sent in snapshots
        if sent is not None
        for type_url, of_type in sent.sets.items()
        if type_url != SECRET or of_type
        for name, resource in of_type.items()
    }


def _with_mode(mesh: Mesh, mode: MtlsMode) -> Mesh:
    changed = [
        replace(one, mtls=mode) if isinstance(one, MeshConfig) else one
        for one in mesh.objects.values()
    ]
    return replace(mesh_of(*changed), identity=mesh.identity)
