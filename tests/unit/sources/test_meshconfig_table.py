"""Every field of a MeshConfig has effect, or says that it has none; and so say schema and docs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from towpath.model.codes import Reason
from towpath.sources.decode import decode
from towpath.sources.decode.meshconfig_table import FIELDS, IMAGES, Field, How

ROOT = Path(__file__).parents[3]
LISTS = ("sidecarDrivers", "inbound-tcp", "inbound-http", "outbound-tcp", "outbound-http")
"""Sections that hold lists."""

JUDGED = [field for field in FIELDS if not isinstance(field.support, How)]


def _spec(path: str, value: object) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: [value] if name in LISTS else value}
    assert isinstance(value, dict)
    return value


def _said(path: str, value: object) -> list[str]:
    head = {"apiVersion": "config.openservicemesh.io/v1alpha2", "kind": "MeshConfig"}
    metadata = {"name": "osm-mesh-config", "namespace": "osm-system"}
    found = decode({**head, "metadata": metadata, "spec": _spec(path, value)}, "")
    assert found.value is not None
    assert all(p.field.startswith("spec.") for p in found.problems)
    return [p.message for p in found.problems if p.reason is Reason.NOT_SUPPORTED]


@pytest.mark.parametrize("field", JUDGED, ids=lambda field: field.path)
def test_a_field_without_effect_that_asks_for_something_says_so(field: Field) -> None:
    (message,) = _said(field.path, "something else")

    assert message == 'is "something else", which has no effect in Towpath'


@pytest.mark.parametrize("field", JUDGED, ids=lambda field: field.path)
def test_what_a_field_is_by_itself_is_no_problem(field: Field) -> None:
    quiet: tuple[object, ...] = (None, "", [], {})
    if isinstance(field.support, tuple):
        quiet += field.support
    elif field.support is IMAGES:
        quiet += ("flomesh/pipy:1.2.3", "docker.io/envoyproxy/envoy:v1.19.3")
    for value in quiet:
        assert _said(field.path, value) == [], value


@pytest.mark.parametrize("true", [0, 1, "true", "false"])
def test_another_type_is_another_value(true: object) -> None:
    assert _said("featureFlags.enablePluginPolicy", true) != []
    assert _said("featureFlags.enablePluginPolicy", False) == []


@pytest.mark.parametrize("name", ["CRD", "PAGE"])
def test_schema_and_page_are_what_the_table_makes(name: str) -> None:
    made = _generator()
    path: Path = getattr(made, name)
    text = path.read_text()

    assert text == (made.crd(text) if name == "CRD" else made.page()), "run `make tables`"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
