"""Journal: what people change has a line each, and a thousand changes have a few."""

from __future__ import annotations

import logging
from dataclasses import fields, replace

import pytest

from support.objects import egress, fill, namespace
from towpath.hub.debounce import Debounce
from towpath.hub.journal import MOST_LINES, Journal
from towpath.model.codes import Code
from towpath.model.meshconfig import SWITCHES, MeshConfig
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.settings import MeshSettings
from towpath.store import Store

CONFIG = MeshConfig(namespace="osm-system")
FILE = Problem(ObjectRef("File", "", "a.yaml"), "", Code.UNREADABLE_FILE, "is no YAML", "a.yaml:3")


class _Hub:
    """A store's present picture, and what planning would say of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.found: tuple[Problem, ...] = ()
        self.ready = True

    @property
    def mesh(self):  # type: ignore[no-untyped-def]
        return self._store.drain()[0]

    async def policy_problems(self) -> tuple[Problem, ...]:
        return self.found


class _Told:
    """A journal that has told of an empty mesh, and the lines since."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.store = Store(MeshSettings().scope, on_change=lambda: None)
        fill(self.store, CONFIG)
        self.hub = _Hub(self.store)
        self._journal = Journal(self.hub, Debounce(quiet=0, longest=0, clock=lambda: 0.0))
        self._log = caplog
        caplog.set_level(logging.INFO, logger="towpath.hub.journal")

    async def tell(self) -> list[logging.LogRecord]:
        self._log.clear()
        await self._journal.tell()
        return self._log.records[:]


@pytest.fixture
async def told(caplog: pytest.LogCaptureFixture) -> _Told:
    made = _Told(caplog)
    await made.tell()
    return made


def _messages(records: list[logging.LogRecord]) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in records]


async def test_the_mesh_at_the_start_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    made = _Told(caplog)
    fill(made.store, *(egress(f"p{n}") for n in range(100)))

    (line,) = _messages(await made.tell())
    counts = "1 MeshConfig, 100 Egress, 0 HTTPRouteGroup, 0 UpstreamTrafficSetting, "
    assert line.startswith(f"INFO the mesh begins with {counts}")
    assert "; spec.traffic.enableEgress false, " in line


async def test_a_policy_that_comes_changes_and_goes_has_a_line_each(told: _Told) -> None:
    told.store.apply(egress("out"))
    came = await told.tell()
    told.store.apply(egress("out", hosts=("a.example",)))
    changed = await told.tell()
    told.store.delete(Kind.EGRESS, "shop", "out")
    gone = await told.tell()

    assert ["INFO Egress shop/out was added"] == _messages(came)
    assert ["INFO Egress shop/out was changed"] == _messages(changed)
    assert ["INFO Egress shop/out was removed"] == _messages(gone)
    assert {"policy": "shop/out", "kind": "Egress", "change": "added"}.items() <= vars(
        came[0]
    ).items()


async def test_what_is_no_policy_has_no_line(told: _Told) -> None:
    told.store.apply(namespace())

    assert [] == await told.tell()


async def test_a_switch_has_a_line_with_what_it_was(told: _Told) -> None:
    told.store.apply(replace(CONFIG, enable_egress=True))
    on = await told.tell()
    told.store.delete(Kind.MESH_CONFIG, "osm-system", CONFIG.name)
    off = await told.tell()

    name = "MeshConfig osm-system/osm-mesh-config"
    assert [
        f"INFO {name} was changed",
        f"INFO {name}: spec.traffic.enableEgress is true now, it was false",
    ] == _messages(on)
    assert [
        f"INFO {name} was removed",
        f"INFO {name}: spec.traffic.enableEgress is false now, it was true",
    ] == _messages(off)


def test_every_attribute_of_the_mesh_config_is_a_switch() -> None:
    # These are many fields each, whose change is told as one of the object.
    others = {"namespace", "name", "stamp", "injection", "tls"}
    assert {field.name for field in fields(MeshConfig)} - others == set(SWITCHES)


async def test_a_policy_that_breaks_and_is_mended_has_a_line_each(told: _Told) -> None:
    ref = ObjectRef("Egress", "shop", "out")
    problem = Problem(ref, "spec.hosts[0]", Code.INVALID_VALUE, "is no host", "a.yaml:3")
    told.hub.found = (problem,)
    broken = await told.tell()
    told.hub.found = (replace(problem, source="a.yaml:4"),)
    moved = await told.tell()
    told.hub.found = ()
    resolved = await told.tell()

    assert [f"INFO broken: {problem}"] == _messages(broken)
    assert ("shop/out", "spec.hosts[0]", "Invalid") == tuple(
        vars(broken[0])[key] for key in ("policy", "field", "reason")
    )
    assert [] == moved
    assert ["INFO resolved: " + str(replace(problem, source="a.yaml:4"))] == _messages(resolved)


async def test_a_file_that_does_not_parse_is_a_warning(told: _Told) -> None:
    told.store.report("files", (FILE,))
    broken = await told.tell()
    told.store.report("files", ())
    resolved = await told.tell()

    assert [f"WARNING broken: {FILE}"] == _messages(broken)
    assert "a.yaml" == vars(broken[0])["file"]
    assert [f"INFO resolved: {FILE}"] == _messages(resolved)


async def test_a_thousand_policies_that_change_together_have_a_few_lines(told: _Told) -> None:
    for number in range(1000):
        told.store.apply(egress(f"p{number:04}"))
    records = await told.tell()

    assert MOST_LINES + 1 == len(records)
    assert "INFO and more: 980 added" == _messages(records)[-1]
    assert {"added": 980} == vars(records[-1])["more"]


async def test_a_thousand_files_that_break_together_have_a_few_lines(told: _Told) -> None:
    told.store.report(
        "files", (replace(FILE, object=ObjectRef("File", "", f"{n}.yaml")) for n in range(1000))
    )
    records = await told.tell()

    assert MOST_LINES + 1 == len(records)
    assert "WARNING and more: 980 broken" == _messages(records)[-1]
