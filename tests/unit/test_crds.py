"""The CustomResourceDefinitions: what the decoders know is in the schemas, and manifests fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from towpath.model.names import Kind
from towpath.sources.decode.egress import KNOWN as EGRESS
from towpath.sources.decode.fields import Known
from towpath.sources.decode.meshconfig import KNOWN as MESH_CONFIG
from towpath.sources.decode.route_groups import KNOWN as ROUTE_GROUP
from towpath.sources.decode.settings import KNOWN as SETTING

DEPLOY = Path(__file__).parents[2] / "deploy"
CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for crd in (yaml.safe_load(path.read_text()) for path in (DEPLOY / "crds").glob("*.yaml"))
}
KNOWN = {
    Kind.EGRESS: EGRESS,
    Kind.HTTP_ROUTE_GROUP: ROUTE_GROUP,
    Kind.UPSTREAM_TRAFFIC_SETTING: SETTING,
    Kind.MESH_CONFIG: MESH_CONFIG,
}


def _spec(kind: str) -> Any:
    (version,) = CRDS[kind]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_there_is_one_for_every_custom_kind() -> None:
    assert set(CRDS) == set(KNOWN)
    for crd in CRDS.values():
        assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"


@pytest.mark.parametrize("kind", [k for k in KNOWN if k is not Kind.MESH_CONFIG])
def test_schema_and_decoder_know_the_same_fields(kind: Kind) -> None:
    assert _fields(_spec(kind)) == _known(KNOWN[kind].sections["spec"])


def test_the_switches_are_in_the_meshconfigs_schema() -> None:
    assert _fields(_spec(Kind.MESH_CONFIG)) <= _known(KNOWN[Kind.MESH_CONFIG].sections["spec"])


@pytest.mark.parametrize("kind", [Kind.EGRESS, Kind.UPSTREAM_TRAFFIC_SETTING])
def test_policies_have_a_status_subresource_and_columns(kind: Kind) -> None:
    (version,) = CRDS[kind]["spec"]["versions"]
    columns = {column["name"] for column in version["additionalPrinterColumns"]}

    assert version["subresources"] == {"status": {}}
    assert {"Accepted", "Programmed", "Age"} <= columns


def test_every_rule_of_the_schema_has_a_message() -> None:
    rules = [rule for kind in CRDS for rule in _rules(_spec(kind))]

    assert len(rules) >= 6
    assert all(re.match(r"spec\.\w+", rule["message"]) for rule in rules)


def test_every_list_and_text_is_bounded_where_a_rule_looks() -> None:
    for name, field in _walk(_spec(Kind.EGRESS), "spec"):
        if field.get("type") == "array":
            assert "maxItems" in field, name
        if field.get("type") == "string":
            assert "maxLength" in field or "enum" in field, name


@pytest.mark.parametrize("path", sorted((DEPLOY / "demo").rglob("*.yaml")), ids=lambda p: p.name)
def test_the_demos_custom_resources_fit(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document and document["kind"] in CRDS:
            unknown = set(_paths(document["spec"])) - _known(
                KNOWN[Kind(document["kind"])].sections["spec"]
            )
            assert not unknown


def _fields(schema: Any, prefix: str = "") -> set[str]:
    """Dotted names of all fields that a schema declares; lists are passed through."""
    found = set()
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        found |= {path} | _fields(field, f"{path}.")
    return found


def _known(known: Known, prefix: str = "") -> set[str]:
    found = {f"{prefix}{name}" for name in known.names}
    for name, section in known.sections.items():
        found |= _known(section, f"{prefix}{name}.")
    return found


def _walk(schema: Any, name: str) -> list[tuple[str, Any]]:
    found = [(name, schema)]
    if "items" in schema:
        found += _walk(schema["items"], f"{name}[]")
    for key, field in schema.get("properties", {}).items():
        found += _walk(field, f"{name}.{key}")
    return found


def _rules(schema: Any) -> list[Any]:
    return [
        rule
        for _, field in _walk(schema, "spec")
        for rule in field.get("x-kubernetes-validations", [])
    ]


def _paths(spec: Any, prefix: str = "") -> list[str]:
    found = []
    for name, value in spec.items():
        found.append(f"{prefix}{name}")
        if isinstance(value, dict):
            found += _paths(value, f"{prefix}{name}.")
    return found
