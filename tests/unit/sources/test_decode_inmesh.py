"""SMI's kinds: what cannot be read grants nothing, is told, and leaves the rest alone."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.model.codes import Reason
from towpath.model.inmesh import RouteReference, TCPRoute, TrafficSplit, TrafficTarget
from towpath.model.names import Account, Kind
from towpath.sources.decode import Decoded, decode

SOURCE = {"kind": "ServiceAccount", "name": "curl", "namespace": "shop"}
RULE = {"kind": "HTTPRouteGroup", "name": "get"}
GROUP = RouteReference(Kind.HTTP_ROUTE_GROUP, "get")


def _target(**change: Any) -> Decoded:
    spec = {"destination": {**SOURCE, "name": "web"}, "sources": [SOURCE], "rules": [RULE]}
    return _decoded("TrafficTarget", "access.smi-spec.io/v1alpha3", {**spec, **change})


def _split(version: str = "v1alpha4", **change: Any) -> Decoded:
    spec = {"service": "web", "backends": [{"service": "v1", "weight": 1}]}
    return _decoded("TrafficSplit", f"split.smi-spec.io/{version}", {**spec, **change})


def _route(spec: Any) -> Decoded:
    return _decoded("TCPRoute", "specs.smi-spec.io/v1alpha4", spec)


def _decoded(kind: str, version: str, spec: Any) -> Decoded:
    metadata = {"name": "one", "namespace": "shop"}
    return decode({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}, "f:1")


def test_a_target_says_who_may_call_whom() -> None:
    value = _target().value

    web, curl = Account("shop", "web"), Account("shop", "curl")
    assert TrafficTarget("shop", "one", web, (curl,), (GROUP,)) == value
    assert () == _target().problems


def test_names_of_matches_are_kept_and_none_means_all() -> None:
    named = _target(rules=[{**RULE, "matches": ["b", "a"]}]).value
    assert isinstance(named, TrafficTarget)
    assert (RouteReference(Kind.HTTP_ROUTE_GROUP, "get", ("a", "b")),) == named.rules
    nothing: tuple[object, ...] = (None, [])
    for matches in nothing:
        everything = _target(rules=[{**RULE, "matches": matches}]).value
        assert isinstance(everything, TrafficTarget)
        assert (GROUP,) == everything.rules


def test_a_destination_without_a_namespace_is_in_that_of_the_target() -> None:
    assert _target().value == _target(destination={"kind": "ServiceAccount", "name": "web"}).value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"destination": {**SOURCE, "namespace": "bank"}}, "spec.destination.namespace"),
        ({"destination": {**SOURCE, "kind": "Group"}}, "spec.destination.kind"),
        ({"destination": {"kind": "ServiceAccount"}}, "spec.destination.name"),
        ({"destination": None}, "spec.destination.kind"),
        ({"rules": [RULE, {"kind": "UDPRoute", "name": "x"}]}, "spec.rules[1].kind"),
        ({"rules": [RULE, {"kind": "TCPRoute"}]}, "spec.rules[1].name"),
        ({"rules": [RULE, 7]}, "spec.rules[1]"),
        ({"rules": [{**RULE, "match": ["a"]}]}, "spec.rules[0].match"),
        ({"rule": []}, "spec.rule"),
    ],
)
def test_a_target_that_cannot_be_read_allows_nothing(change: dict[str, Any], field: str) -> None:
    found = _target(**change)

    assert isinstance(found.value, TrafficTarget)
    assert found.value.closed
    assert field in {problem.field for problem in found.problems}


@pytest.mark.parametrize("rules", [[], None])
def test_a_target_without_a_rule_allows_nothing_and_is_told(rules: object) -> None:
    found = _target(rules=rules)

    assert isinstance(found.value, TrafficTarget)
    assert found.value.closed
    assert () == found.value.rules
    assert ["spec.rules"] == [problem.field for problem in found.problems]


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({**SOURCE, "kind": "Group"}, "spec.sources[0].kind"),
        ({"kind": "ServiceAccount", "name": "curl"}, "spec.sources[0].namespace"),
        ({"kind": "ServiceAccount", "namespace": "shop"}, "spec.sources[0].name"),
        ({**SOURCE, "nam": "x"}, "spec.sources[0].nam"),
    ],
)
def test_a_source_that_is_wrong_gains_nothing_and_the_others_stay(
    source: dict[str, str], field: str
) -> None:
    other = {**SOURCE, "name": "other"}
    alone, beside = _target(sources=[source]), _target(sources=[source, other])

    assert isinstance(alone.value, TrafficTarget)
    assert isinstance(beside.value, TrafficTarget)
    assert ((), (Account("shop", "other"),)) == (alone.value.sources, beside.value.sources)
    assert {field, "spec.sources"} == {problem.field for problem in alone.problems}
    assert [field] == [problem.field for problem in beside.problems]


def test_no_source_is_nobody() -> None:
    found = _target(sources=[])

    assert isinstance(found.value, TrafficTarget)
    assert () == found.value.sources
    assert ["spec.sources"] == [problem.field for problem in found.problems]


@pytest.mark.parametrize(
    ("spec", "ports", "field"),
    [
        ({"matches": {"ports": [3306, 80]}}, (80, 3306), None),
        ({"matches": {"ports": []}}, None, None),
        ({"matches": {}}, None, None),
        ({}, None, None),
        ({"matches": {"ports": [0, "80", 80]}}, (80,), "spec.matches.ports[0]"),
        ({"matches": {"ports": [70000]}}, (), "spec.matches.ports"),
        ({"matches": {"ports": 80}}, (), "spec.matches.ports"),
        ({"matches": {"port": [80]}}, (), "spec.matches.port"),
        ({"matches": [80]}, (), "spec.matches"),
        ([{"matches": {"ports": [80]}}], (), "spec"),
        ("80", (), "spec"),
    ],
)
def test_ports_of_a_route(spec: Any, ports: tuple[int, ...] | None, field: str | None) -> None:
    found = _route(spec)

    assert TCPRoute("shop", "one", ports) == found.value
    assert (field is None) == (found.problems == ())
    assert field is None or field in {problem.field for problem in found.problems}


@pytest.mark.parametrize(
    "root",
    ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster", "web.shop.svc.cluster.local"],
)
def test_a_root_may_be_said_in_any_form_of_its_name(root: str) -> None:
    assert _split().value == _split(service=root).value


@pytest.mark.parametrize("root", ["web.bank", "web.svc", "Web", "", None, "web.shop.svc.local"])
def test_a_root_elsewhere_divides_nothing(root: object) -> None:
    found = _split(service=root)

    assert isinstance(found.value, TrafficSplit)
    assert found.value.closed
    assert ["spec.service"] == [problem.field for problem in found.problems]


def test_both_versions_are_one_object() -> None:
    assert _split("v1alpha2").value == _split("v1alpha4").value is not None


@pytest.mark.parametrize("weight", [-1, 0.5, "1", True, 1_000_001])
def test_a_weight_that_is_none_leaves_its_backend_out(weight: object) -> None:
    backends = [{"service": "v1", "weight": weight}, {"service": "v2", "weight": 2}]
    found = _split(backends=backends)

    assert isinstance(found.value, TrafficSplit)
    assert (("v2", 2),) == found.value.backends
    assert ["spec.backends[0].weight"] == [problem.field for problem in found.problems]


def test_of_a_backend_that_is_named_twice_the_first_weight_holds() -> None:
    found = _split(backends=[{"service": "v1", "weight": 2}, {"service": "v1", "weight": 3}])

    assert isinstance(found.value, TrafficSplit)
    assert (("v1", 2),) == found.value.backends
    assert [Reason.DUPLICATE] == [problem.reason for problem in found.problems]


@pytest.mark.parametrize(
    "change",
    [
        {"matches": [{"kind": "TCPRoute", "name": "x"}]},
        {"matches": [{"kind": "HTTPRouteGroup"}]},
        {"matches": ["x"]},
        {"match": [{"kind": "HTTPRouteGroup", "name": "x"}]},
        {"backends": [{"service": f"v{number}", "weight": 1} for number in range(101)]},
    ],
)
def test_a_split_that_cannot_be_read_divides_nothing(change: dict[str, Any]) -> None:
    found = _split(**change)

    assert isinstance(found.value, TrafficSplit)
    assert found.value.closed
    assert found.problems
