"""What a MeshConfig and a namespace say of mutual TLS, and what becomes of what they cannot say."""

from __future__ import annotations

import json

import pytest

from towpath.model.codes import Reason
from towpath.model.identity import MODES, MtlsMode
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind
from towpath.model.workloads import Namespace
from towpath.sources.decode import Decoded, decode, decode_json

LABELS = {"openservicemesh.io/monitored-by": "osm"}
ANNOTATION = "openservicemesh.io/mtls"


def _config(mtls: object) -> Decoded:
    raw = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"traffic": {"mtls": mtls, "enablePermissiveTrafficPolicyMode": True}},
    }
    return decode(raw, "mesh.yaml:1")


def _namespace(annotations: object) -> tuple[Decoded, Decoded]:
    """As a file says it, and as an API server does."""
    metadata = {"name": "shop", "labels": LABELS, "annotations": annotations}
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return decode(raw, "mesh.yaml:1"), decode_json(Kind.NAMESPACE, json.dumps(raw).encode())


@pytest.mark.parametrize("mode", MODES)
def test_a_mesh_config_says_the_mode(mode: MtlsMode) -> None:
    decoded = _config(str(mode))

    expected = MeshConfig("osm-system", permissive=True, mtls=mode)
    assert (expected, ()) == (decoded.value, decoded.problems)


@pytest.mark.parametrize("mtls", ["Permissive", "on", "", False, [], {}])
def test_what_is_no_mode_is_the_default_and_a_problem_and_loses_nothing_else(mtls: object) -> None:
    decoded = _config(mtls)

    (problem,) = decoded.problems
    assert MeshConfig("osm-system", permissive=True) == decoded.value
    assert (Reason.INVALID, "spec.traffic.mtls") == (problem.reason, problem.field)
    assert 'allowed: "permissive", "strict", "disabled"' in problem.message


@pytest.mark.parametrize(
    "mtls", ["Strict", "STRICT", "strcit", 1, True, ["strict"], {"mode": "strict"}]
)
def test_what_looks_like_strict_or_is_no_text_is_strict_and_a_problem(mtls: object) -> None:
    decoded = _config(mtls)

    (problem,) = decoded.problems
    assert MeshConfig("osm-system", permissive=True, mtls=MtlsMode.STRICT) == decoded.value
    assert (Reason.INVALID, "spec.traffic.mtls") == (problem.reason, problem.field)
    assert "strict" in problem.message.partition("; ")[2].partition("; ")[2]


@pytest.mark.parametrize("mtls", [None, *MODES])
def test_a_namespace_says_it_by_an_annotation(mtls: MtlsMode | None) -> None:
    annotations = None if mtls is None else {ANNOTATION: str(mtls), "other": "x"}

    for decoded in _namespace(annotations):
        assert (Namespace("shop", "osm", mtls), ()) == (decoded.value, decoded.problems)


@pytest.mark.parametrize("text", ["Disabled", "permisive", "true", "on", ""])
def test_an_annotation_that_is_no_mode_is_a_problem_and_the_namespace_stays_in_the_mesh(
    text: str,
) -> None:
    for decoded in _namespace({ANNOTATION: text}):
        (problem,) = decoded.problems
        assert Namespace("shop", "osm", mtls_unclear=True) == decoded.value
        assert f"metadata.annotations[{ANNOTATION}]" == problem.field
        assert (
            f'is "{text}"; allowed: "permissive", "strict", "disabled"; what the MeshConfig says '
            "holds here too, or permissive if that is stricter"
        ) == problem.message


@pytest.mark.parametrize("text", ["Strict", "STRICT", " strict", "strcit", "stric"])
def test_an_annotation_that_looks_like_strict_is_strict_and_a_problem(text: str) -> None:
    for decoded in _namespace({ANNOTATION: text}):
        (problem,) = decoded.problems
        assert Namespace("shop", "osm", MtlsMode.STRICT) == decoded.value
        assert problem.message.endswith("strict holds here, as that seems to be meant")


SLIPS = [
    "openservicemesh.io/mTLS",
    "openservicemesh.io/mtl",
    "openservicemesh.io/mtlss",
    "openservicemesh.io/tmls",
    "OpenServiceMesh.io/mtls",
    "openservicemes.io/mtls",
]


@pytest.mark.parametrize("name", SLIPS)
@pytest.mark.parametrize("beside", [{}, {ANNOTATION: "permissive"}, {ANNOTATION: "strict"}])
def test_a_misspelt_annotation_that_says_strict_is_strict_and_a_problem(
    name: str, beside: dict[str, str]
) -> None:
    for decoded in _namespace({**beside, name: "Strict"}):
        (problem,) = decoded.problems
        assert isinstance(decoded.value, Namespace)
        assert MtlsMode.STRICT is decoded.value.mtls
        assert f"metadata.annotations[{name}]" == problem.field
        assert (
            f'may be meant for {ANNOTATION}; allowed there: "permissive", "strict", "disabled"; '
            "strict holds here, as that seems to be meant"
        ) == problem.message


@pytest.mark.parametrize("text", ["disabled", "permissive", "on"])
def test_any_other_misspelt_annotation_makes_no_hole_and_is_a_problem(text: str) -> None:
    for decoded in _namespace({SLIPS[0]: text}):
        (problem,) = decoded.problems
        assert isinstance(decoded.value, Namespace)
        assert (None, True) == (decoded.value.mtls, decoded.value.mtls_unclear)
        assert problem.message.endswith("it is not used")


@pytest.mark.parametrize("name", ["openservicemesh.io/metrics", "example.com/mtls", "mtls"])
def test_other_annotations_say_nothing_of_mutual_tls(name: str) -> None:
    for decoded in _namespace({name: "strict"}):
        assert isinstance(decoded.value, Namespace)
        assert (None, False) == (decoded.value.mtls, decoded.value.mtls_unclear)
        assert () == decoded.problems
