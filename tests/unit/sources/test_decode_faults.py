"""A fault of ours at one object is a Problem of that object, and costs no other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from towpath.model.codes import Code
from towpath.model.egress import Egress, UpstreamTrafficSetting
from towpath.model.identity import MtlsMode
from towpath.model.meshconfig import MESH_CONFIG_NAME, MeshConfig
from towpath.model.names import Account, Kind, Protocol
from towpath.sources import decode as package
from towpath.sources.decode import Decoded, decode, decode_json
from towpath.sources.files.folder import Folder
from towpath.telemetry.once import FaultsOnce

HOSTILE = "\x1b[2J" + "x" * 10_000
API_VERSIONS = {kind: package._TABLE[kind].api_versions[0] for kind in Kind}
SPECS: dict[Kind, dict[str, Any]] = {
    Kind.EGRESS: {
        "sources": [{"kind": "ServiceAccount", "name": "cart", "namespace": "shop"}],
        "hosts": ["a.test"],
        "ports": [{"number": 443, "protocol": "https"}],
        "matches": [],
    },
    Kind.UPSTREAM_TRAFFIC_SETTING: {"host": "web.shop.svc.cluster.local"},
    Kind.POD: {"containers": [{"name": "a"}]},
}


def manifest(kind: Kind, name: str = "odd") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "resourceVersion": "7"}
    head = {"apiVersion": API_VERSIONS[kind], "kind": kind.value, "metadata": metadata}
    return {**head, "spec": SPECS.get(kind, {})}


def fail(*_: object, **__: object) -> Any:
    raise ZeroDivisionError(HOSTILE)


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is told yet."""
    monkeypatch.setattr(package, "_FAULTS", FaultsOnce(logging.getLogger(package.__name__)))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every object fails that has not the name `good`."""
    for kind, row in package._TABLE.items():
        monkeypatch.setitem(package._TABLE, kind, _failing(row))


def _failing(row: Any) -> Any:
    def read(raw: Any, findings: Any) -> Any:
        return row.read(raw, findings) if findings.ref.name == "good" else fail()

    def seen_in(data: Any) -> Any:
        seen = row.seen_in(data)

        def convert(findings: Any) -> Any:
            return seen.convert(findings) if findings.ref.name == "good" else fail()

        return seen._replace(convert=convert)

    values = {name: getattr(row, name) for name in row.__slots__}
    return type(row)(**{**values, "read": read, "seen_in": row.seen_in and seen_in})


def both(kind: Kind, raw: dict[str, Any]) -> Iterator[Decoded]:
    yield decode(raw, "here:1")
    yield decode_json(kind, json.dumps(raw).encode())


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.usefixtures("broken")
def test_it_is_a_problem_that_names_the_object(kind: Kind) -> None:
    for decoded in both(kind, manifest(kind)):
        (problem,) = decoded.problems
        assert (kind.value, "odd") == (decoded.ref.kind, decoded.ref.name)
        assert (decoded.ref, Code.UNDECODED_OBJECT) == (problem.object, problem.code)
        assert "(ZeroDivisionError, see the log)" in problem.message
        assert HOSTILE not in problem.message
    assert "7" == decoded.version


@pytest.mark.usefixtures("broken")
def test_nothing_of_it_is_held_but_what_closes() -> None:
    closed = (Kind.EGRESS, Kind.UPSTREAM_TRAFFIC_SETTING)
    for kind in set(Kind).difference(closed):
        assert [None, None] == [one.value for one in both(kind, manifest(kind))]

    for decoded in both(Kind.EGRESS, manifest(Kind.EGRESS)):
        egress = decoded.value
        assert isinstance(egress, Egress)
        assert egress.closed
        # So they stay named, and passthrough does not open them.
        named = (egress.sources, egress.hosts, egress.ports)
        assert ((Account("shop", "cart"),), ("a.test",), ((443, Protocol.HTTPS),)) == named
    for decoded in both(Kind.UPSTREAM_TRAFFIC_SETTING, manifest(Kind.UPSTREAM_TRAFFIC_SETTING)):
        setting = decoded.value
        assert isinstance(setting, UpstreamTrafficSetting)
        assert (True, "web") == (setting.closed, setting.service)


@pytest.mark.usefixtures("broken")
def test_the_switches_of_the_mesh_are_off_and_what_can_be_strict_is() -> None:
    raw = manifest(Kind.MESH_CONFIG, MESH_CONFIG_NAME)
    raw["spec"] = {"traffic": {"enableEgress": True, "enablePermissiveTrafficPolicyMode": True}}
    for decoded in both(Kind.MESH_CONFIG, raw):
        config = decoded.value
        assert isinstance(config, MeshConfig)
        assert (MtlsMode.STRICT, "TLSv1_3") == (config.mtls, config.tls.minimum)
        switches = config.permissive, config.enable_egress, config.enable_egress_policy
        assert (False,) * 3 == switches


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("spec", [None, [], {"hosts": 1, "ports": {}, "host": 1, "sources": "x"}])
def test_what_closes_is_made_of_anything(spec: object) -> None:
    for kind in (Kind.EGRESS, Kind.UPSTREAM_TRAFFIC_SETTING):
        for decoded in both(kind, {**manifest(kind), "spec": spec}):
            assert 1 == len(decoded.problems)
            assert decoded.value is not None


def test_where_that_fails_too_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("towpath.sources.decode.egress"), "_ports", fail)

    for decoded in both(Kind.EGRESS, manifest(Kind.EGRESS)):
        assert decoded.value is None
        assert [Code.UNDECODED_OBJECT] == [problem.code for problem in decoded.problems]


@pytest.mark.usefixtures("broken")
def test_the_log_has_the_traceback_of_each_fault_once(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("odd", "odd", "other"):
        decode(manifest(Kind.POD, name), "here:1")

    (record,) = caplog.records
    assert "Pod shop/odd (here:1) cannot be read, by a fault of Towpath's own" == record.message
    assert record.exc_text is not None
    assert ", in fail\n" in record.exc_text
    assert "\x1b" not in record.exc_text
    assert len(record.exc_text) < 3_000


def test_want_of_memory_is_no_fault_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr("towpath.sources.decode.core.probes", full)
    with pytest.raises(MemoryError):
        decode(manifest(Kind.POD), "here:1")
    with pytest.raises(MemoryError):
        decode_json(Kind.POD, json.dumps(manifest(Kind.POD)).encode())


@pytest.mark.usefixtures("broken")
def test_other_objects_of_a_folder_are_read_and_what_was_known_is_gone(tmp_path: Path) -> None:
    folder = Folder(tmp_path, settle_s=0)
    (tmp_path / "a.json").write_text(json.dumps(manifest(Kind.TRAFFIC_TARGET, "good")))
    folder.refresh(now=0, hasty=True)

    (tmp_path / "a.json").write_text(json.dumps(manifest(Kind.TRAFFIC_TARGET)))
    pods = [manifest(Kind.POD, "odd"), manifest(Kind.POD, "good")]
    (tmp_path / "b.json").write_text(json.dumps({"kind": "List", "items": pods}))
    folder.refresh(now=1, hasty=True)

    contents = folder.contents()
    assert () == contents.objects[Kind.TRAFFIC_TARGET]
    assert ["good"] == [pod.name for pod in contents.objects[Kind.POD]]
    assert [Code.UNDECODED_OBJECT] * 2 == [problem.code for problem in contents.problems]


def test_a_file_at_which_reading_fails_costs_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("towpath.sources.files.manifest.parse_yaml", fail)
    folder = Folder(tmp_path, settle_s=0)
    (tmp_path / "a.yaml").write_text("a: b")
    (tmp_path / "b.json").write_text(json.dumps(manifest(Kind.POD)))
    for now in range(3):
        folder.refresh(["a.yaml"], now=now, hasty=True)

    contents = folder.contents()
    assert ["odd"] == [pod.name for pod in contents.objects[Kind.POD]]
    (problem,) = contents.problems
    assert (Code.UNREADABLE_FILE, "a.yaml") == (problem.code, problem.object.name)
    assert 1 == len(caplog.records)
