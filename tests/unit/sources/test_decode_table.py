"""Which objects are held, which are a Problem, and which are passed over."""

from __future__ import annotations

import pytest

from towpath.model.codes import Reason
from towpath.model.names import ObjectRef
from towpath.model.problem import Problem
from towpath.model.workloads import ServiceAccount
from towpath.sources.decode import Decoded, decode, expand


def account(**metadata: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def only_problem(raw: object) -> Problem:
    decoded = decode(raw, "mesh.yaml:7")
    assert decoded.value is None
    (problem,) = decoded.problems
    return problem


def test_an_object_without_a_namespace_is_in_the_namespace_default() -> None:
    decoded = decode(account(name="shop"), "")

    assert decoded.value == ServiceAccount("default", "shop")
    assert decoded.ref == ObjectRef("ServiceAccount", "default", "shop")


def test_a_problem_says_where_the_object_was_read() -> None:
    assert only_problem(account(name="Shop")).source == "mesh.yaml:7"


@pytest.mark.parametrize("name", ["Shop", "shop_1", "-shop", "shop.", "s" * 254, "", None, 7, []])
def test_an_invalid_name_is_a_problem_of_the_object(name: object) -> None:
    problem = only_problem(account(name=name))

    assert (problem.field, problem.reason) == ("metadata.name", Reason.INVALID)
    assert "allowed: a lower-case RFC 1123 subdomain" in problem.message


def test_an_invalid_namespace_is_a_problem_of_the_object() -> None:
    problem = only_problem(account(name="shop", namespace="a.b"))

    assert problem.field == "metadata.namespace"
    assert problem.message.startswith('is "a.b"; allowed: a lower-case RFC 1123 label')


def test_a_very_long_value_is_shown_shortened() -> None:
    assert len(str(only_problem(account(name="X" * 10_000)))) < 700


@pytest.mark.parametrize(
    ("version", "kind", "allowed"),
    [
        ("v2", "Service", "v1"),
        ("apps/v1", "Pod", "v1"),
        ("discovery.k8s.io/v1beta1", "EndpointSlice", "discovery.k8s.io/v1"),
        ("v1", "MeshConfig", "config.openservicemesh.io/v1alpha2"),
        (None, "Namespace", "v1"),
    ],
)
def test_a_wrong_api_version_of_a_held_kind_names_the_allowed_ones(
    version: object, kind: str, allowed: str
) -> None:
    problem = only_problem({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})

    assert (problem.field, problem.reason) == ("apiVersion", Reason.INVALID)
    assert f"allowed: {allowed};" in problem.message


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("policy.openservicemesh.io/v1alpha1", "AccessControl"),
        ("policy.flomesh.io/v1alpha1", "Isolation"),
    ],
)
def test_a_mesh_kind_that_is_not_built_yet_says_so(version: str, kind: str) -> None:
    problem = only_problem(
        {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}}
    )

    assert problem.object == ObjectRef(kind, "shop", "x")
    assert problem.reason == Reason.NOT_SUPPORTED
    assert problem.field == "kind"
    assert problem.message == (
        f'"{kind}" of "{version}" is not supported: the object has no effect'
    )


@pytest.mark.parametrize(
    ("version", "kind"),
    [("apps/v1", "Deployment"), ("v1", "ConfigMap"), ("serving.knative.dev/v1", "Service")],
)
def test_any_other_kind_is_ignored_without_a_problem(version: str, kind: str) -> None:
    decoded = decode({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}, "")

    assert decoded == Decoded(ObjectRef(kind, "", "x"), ignored=True)


@pytest.mark.parametrize("raw", ["hello", 7, [1], {}, {"kind": 3}, {"kind": "Pod"}])
def test_what_is_no_kubernetes_object_is_a_problem(raw: object) -> None:
    assert only_problem(raw).reason == Reason.INVALID


def test_metadata_that_is_no_mapping_is_a_problem() -> None:
    problem = only_problem({"apiVersion": "v1", "kind": "Pod", "metadata": ["x"]})

    assert problem.field == "metadata"


def test_a_list_is_its_items() -> None:
    first, second = account(name="a"), account(name="b")
    nested = {"apiVersion": "v1", "kind": "List", "items": [second]}
    raw = {"apiVersion": "v1", "kind": "List", "items": [first, nested], "metadata": {}}

    assert list(expand(raw)) == [first, second]


def test_the_items_of_a_typed_list_have_the_kind_of_the_list() -> None:
    raw = {"apiVersion": "v1", "kind": "ServiceAccountList", "items": [{"metadata": {"name": "a"}}]}

    (item,) = expand(raw)

    assert decode(item, "").value == ServiceAccount("default", "a")


def test_a_list_without_items_is_empty() -> None:
    assert list(expand({"apiVersion": "v1", "kind": "List", "items": None})) == []


def test_a_wrong_type_in_the_labels_names_the_label() -> None:
    problem = only_problem(account(name="a", labels={"ok": "yes", "app": 1}))

    assert problem.field == "metadata.labels[app]"
    assert problem.message == "is 1; allowed: a string; the ServiceAccount is not used"
