"""Golden cases: what `towpath render` and `towpath problems` print for a small mesh.

The first line of a case's `in.yaml` is `# sidecar: POD.NAMESPACE [TYPE ...]`: whose snapshot, and
which resource types of it (all, if none is named); `# grpc: …` asks as gRPC's own client, and so on
for each kind of client. `out.summary.txt` is what `render -o summary` prints of them.

What a summary leaves out is the same everywhere, and stands in full where the second line is
`# in full: TYPE[/NAME] ...` names it: in `out.yaml`, or for Pipy in `out.config.json`. All of them
are rewritten by `make golden`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from towpath.app import Offline
from towpath.cli.render import as_text, config_json
from towpath.model.names import ClientKind, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import Snapshot
from towpath.model.types import SHORT_NAMES
from towpath.settings import MeshSettings

if TYPE_CHECKING:
    from conftest import Golden

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/in.yaml"))
CLIENTS = {"sidecar": ClientKind.ENVOY, **{str(kind): kind for kind in ClientKind}}
IN_FULL = "# in full: "


@pytest.fixture(params=CASES, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_what_a_sidecar_gets(case: Path, golden: Golden, tmp_path: Path) -> None:
    heading = Heading.of(case)
    mesh = _mesh(case, tmp_path)
    snapshot = _snapshot(mesh, heading)

    golden.check("out.summary.txt", as_text(snapshot, heading.types, output="summary"))
    if heading.in_full and heading.client is ClientKind.PIPY:
        golden.check("out.config.json", config_json(snapshot))
    elif heading.in_full:
        golden.check("out.yaml", yaml.safe_dump(_in_full(snapshot, heading.in_full), width=100))
    of_clients = (heading.client,) if heading.client is ClientKind.PIPY else ()
    _check_problems(golden, mesh.problems(*of_clients))


def test_every_field_that_a_case_has_stands_in_full_in_one(tmp_path: Path) -> None:
    """So a change of what summaries leave out is a change of a golden file that shows it."""
    somewhere: set[str] = set()
    in_full: set[str] = set()
    for case in CASES:
        heading = Heading.of(case)
        if heading.client is ClientKind.PIPY:  # a summary of its config shows every field
            continue
        (folder := tmp_path / case.name).mkdir()
        resources = _resources(_snapshot(_mesh(case, folder), heading))
        for place, resource in resources.items():
            somewhere |= set(_fields(resource))
            in_full |= set(_fields(resource)) if _named(place, heading.in_full) else set()

    assert [] == sorted(somewhere - in_full)


@dataclass(frozen=True)
class Heading:
    """What the first lines of a case say."""

    client: ClientKind
    sidecar: SidecarId
    types: tuple[str, ...]
    in_full: tuple[str, ...]

    @classmethod
    def of(cls, case: Path) -> Heading:
        first, second, *_ = (case / "in.yaml").read_text().splitlines()
        client, _, rest = first.removeprefix("# ").partition(": ")
        assert client in CLIENTS, f"{case}: the first line must begin with one of {[*CLIENTS]}"
        sidecar, *types = rest.split()
        in_full = second.removeprefix(IN_FULL).split() if second.startswith(IN_FULL) else ()
        shown = tuple(types) or tuple(SHORT_NAMES.values())
        assert set(shown) <= set(SHORT_NAMES.values()), f"{case}: types are {[*SHORT_NAMES]}"
        return cls(CLIENTS[client], SidecarId.parse(sidecar), shown, tuple(in_full))


def _mesh(case: Path, folder: Path) -> Offline:
    shutil.copy(case / "in.yaml", folder)
    return Offline(folder, MeshSettings())


def _snapshot(mesh: Offline, heading: Heading) -> Snapshot:
    snapshot = mesh.snapshot(heading.client, heading.sidecar)
    assert snapshot is not None, f"no pod of {heading.sidecar}"
    return snapshot


def _resources(snapshot: Snapshot) -> dict[str, Any]:
    """Every resource as `render` prints it, by TYPE/NAME."""
    rendered = yaml.safe_load(as_text(snapshot, output="json"))
    return {
        f"{short}/{name}": resource
        for short, of_type in rendered.items()
        for name, resource in of_type["resources"].items()
    }


def _in_full(snapshot: Snapshot, wanted: tuple[str, ...]) -> dict[str, Any]:
    chosen = {p: r for p, r in _resources(snapshot).items() if _named(p, wanted)}
    unknown = [one for one in wanted if not any(_named(place, (one,)) for place in chosen)]
    assert [] == unknown
    return chosen


def _named(place: str, wanted: tuple[str, ...]) -> bool:
    return place in wanted or place.partition("/")[0] in wanted


def _fields(value: Any, path: str = "") -> Iterable[str]:
    """The path of each field that is set, with the types of messages within an Any."""
    if isinstance(value, list):
        for one in value:
            yield from _fields(one, path)
    elif isinstance(value, dict):
        path += value.get("@type", "").rpartition("/")[2]
        for name, one in value.items():
            yield from _fields(one, f"{path}.{name}")
    else:
        yield path


def _check_problems(golden: Golden, problems: Iterable[Problem]) -> None:
    if text := "".join(f"{problem}\n" for problem in problems):
        golden.check("out.problems.txt", text)
