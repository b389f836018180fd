"""The CustomResourceDefinitions: what the decoders know is in the schemas, and manifests fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.deploy import CRDS as FILES
from support.schema import violations
from towpath.model.names import Kind
from towpath.sources.decode.egress import SCHEMA as EGRESS
from towpath.sources.decode.ingress_backends import SCHEMA as INGRESS
from towpath.sources.decode.retries import SCHEMA as RETRY
from towpath.sources.decode.route_groups import SCHEMA as ROUTE_GROUP
from towpath.sources.decode.schema import Schema
from towpath.sources.decode.switches import SCHEMA as MESH_CONFIG
from towpath.sources.decode.tcp_routes import SCHEMA as TCP_ROUTE
from towpath.sources.decode.traffic_splits import SCHEMA as SPLIT
from towpath.sources.decode.traffic_targets import SCHEMA as TARGET
from towpath.sources.decode.upstream_traffic_settings import SCHEMA as SETTING
from towpath.status.written import KINDS

TESTS = Path(__file__).parents[1]
DEPLOY = TESTS.parent / "deploy"
MANIFESTS = sorted(
    path
    for path in (*(DEPLOY / "demo").rglob("*.yaml"), *(TESTS / "golden").glob("*/in.yaml"))
    if path.parent.name not in ("egress-broken", "egress-misspelt", "service-limits", "ingress")
)
CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for crd in (yaml.safe_load(path.read_text()) for path in FILES)
}
KNOWN = {
    Kind.EGRESS: EGRESS,
    Kind.HTTP_ROUTE_GROUP: ROUTE_GROUP,
    Kind.UPSTREAM_TRAFFIC_SETTING: SETTING,
    Kind.MESH_CONFIG: MESH_CONFIG,
    Kind.TRAFFIC_TARGET: TARGET,
    Kind.TRAFFIC_SPLIT: SPLIT,
    Kind.TCP_ROUTE: TCP_ROUTE,
    Kind.RETRY: RETRY,
    Kind.INGRESS_BACKEND: INGRESS,
}


def _spec(kind: str) -> Any:
    version, *others = CRDS[kind]["spec"]["versions"]
    assert all(version["schema"] == other["schema"] for other in others), kind
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_there_is_one_for_every_custom_kind() -> None:
    assert set(CRDS) == set(KNOWN)
    for crd in CRDS.values():
        assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"


@pytest.mark.parametrize("kind", KNOWN)
def test_schema_and_decoder_know_the_same_fields(kind: Kind) -> None:
    assert _fields(_spec(kind)) == _known(KNOWN[kind].sections["spec"])


def test_what_is_said_of_each_field_is_in_the_schema() -> None:
    for kind in CRDS:
        for name, field in _walk(_spec(kind), "spec"):
            described = "description" in field or field["type"] == "object" or name.endswith("[]")
            assert described, f"{kind} {name}"


def test_fields_that_are_not_known_are_kept_everywhere() -> None:
    for kind in CRDS:
        for name, field in _walk(_spec(kind), "spec"):
            if field["type"] == "object" and "additionalProperties" not in field:
                assert field.get("x-kubernetes-preserve-unknown-fields") is True, f"{kind} {name}"


@pytest.mark.parametrize("kind", KINDS)
def test_policies_have_a_status_subresource_and_columns(kind: Kind) -> None:
    for version in CRDS[kind]["spec"]["versions"]:
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


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_our_own_manifests_fit(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document and document.get("kind") in CRDS:
            assert violations(_spec(document["kind"]), document["spec"]) == []


def test_open_service_meshs_preset_fits() -> None:
    """The fields, and the values, that a MeshConfig of an existing installation has."""
    preset = {
        "sidecar": {
            "sidecarClass": "pipy",
            "logLevel": "error",
            "maxDataPlaneConnections": 0,
            "configResyncInterval": "90s",
            "sidecarDrivers": [{"sidecarName": "pipy", "proxyServerPort": 6060}],
            "tlsMinProtocolVersion": "TLSv1_2",
            "localProxyMode": "Localhost",
            "resources": {"limits": {"cpu": 1}, "requests": {"memory": "64Mi"}},
        },
        "traffic": {
            "interceptionMode": "iptables",
            "outboundIPRangeExclusionList": ["10.0.0.0/8"],
            "inboundPortExclusionList": [22],
            "inboundExternalAuthorization": {"enable": False, "port": 80, "timeout": "1s"},
        },
        "observability": {"osmLogLevel": "info", "tracing": {"enable": False, "port": 9411}},
        "certificate": {"serviceCertValidityDuration": "24h", "certKeyBitSize": 2048},
        "featureFlags": {"enableWASMStats": True, "enableEgressPolicy": True},
        "pluginChains": {"inbound-tcp": [{"plugin": "tcp-default", "priority": 100}]},
    }

    assert violations(_spec(Kind.MESH_CONFIG), preset) == []


SOURCE = {"kind": "ServiceAccount", "name": "curl", "namespace": "curl"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"ports": [{"number": 0, "protocol": "http"}]}, "spec.ports[0].number: 0 is below 1"),
        ({"ports": [{"number": 70000, "protocol": "http"}]}, "70000 is above 65535"),
        ({"ports": []}, "spec.ports: 0 is below 1"),
        ({"sources": [{**SOURCE, "kind": "Group"}]}, "'Group' is none of ['ServiceAccount']"),
        ({"matches": [{"kind": "HTTPRouteGroup", "name": "x"}]}, "apiGroup: is missing"),
        ({"hosts": "a.test"}, "spec.hosts: 'a.test' is no array"),
        ({"ipAddresses": {}}, "spec.ipAddresses: {} is no array"),
        ({"ipAdresses": []}, "spec.ipAdresses: is not in the schema"),
    ],
)
def test_the_schema_alone_finds(change: dict[str, Any], said: str) -> None:
    spec = {"sources": [SOURCE], "hosts": ["a.test"], "ports": [{"number": 80, "protocol": "http"}]}
    found = violations(_spec(Kind.EGRESS), {**spec, **change})

    assert bool(found) == bool(said)
    assert said in "; ".join(found)


def _fields(schema: Any, prefix: str = "") -> set[str]:
    """Dotted names of all fields that a schema declares; lists are passed through."""
    found = set()
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        found |= {path} | _fields(field, f"{path}.")
    return found


def _known(schema: Schema, prefix: str = "") -> set[str]:
    found = {f"{prefix}{name}" for name in schema.names}
    for name, section in schema.sections.items():
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
