"""Whatever is read, decoding answers with a value or with Problems, and never raises."""

from __future__ import annotations

import copy
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.sources.decode import decode, expand
from towpath.sources.files.document import Unreadable
from towpath.sources.files.manifest import read_manifest

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: &l {app: web}}
spec:
  clusterIP: 10.96.0.1
  selector: *l
  ports:
  - {name: http, port: 80, targetPort: http, appProtocol: http}
---
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config}
spec: {traffic: {enableEgress: true}, sidecar: {logLevel: info, sidecarDrivers: [{sidecarName: a}]}}
"""

OBJECTS: list[dict[str, object]] = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "labels": {"a": "b"}},
        "spec": {
            "serviceAccountName": "a",
            "containers": [{"ports": [{"name": "a", "containerPort": 1}]}],
        },
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "a", "port": 1}],
    },
    {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config"},
        "spec": {"traffic": {"enableEgress": True}, "sidecar": {"sidecarDrivers": [{"a": 1}]}},
    },
    {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}]},
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def places(value: object) -> list[tuple[dict[str, object] | list[object], str | int]]:
    """Every (container, key) in the value."""
    if isinstance(value, dict):
        return [(value, k) for k in value] + [p for v in value.values() for p in places(v)]
    if isinstance(value, list):
        return [(value, i) for i in range(len(value))] + [p for v in value for p in places(v)]
    return []


@settings(max_examples=examples(100))
@given(st.sampled_from(OBJECTS), json_values, st.randoms(use_true_random=False))
def test_any_value_in_any_field_is_a_value_or_a_problem(
    good: dict[str, object], value: object, chance: random.Random
) -> None:
    raw = copy.deepcopy(good)
    container, key = chance.choice(places(raw))
    container[key] = value  # type: ignore[index]

    for item in expand(raw):
        decoded = decode(item, "here")
        assert decoded == decode(item, "here")
        assert all(p.source == "here" and p.message for p in decoded.problems)


@settings(max_examples=examples(100))
@given(st.integers(0, len(SERVICE)), st.integers(0, 40), st.binary(max_size=8))
def test_any_bytes_are_read_or_refused(at: int, dropped: int, put: bytes) -> None:
    data = SERVICE.encode()
    damaged = data[:at] + put + data[at + dropped :]

    for name in ("a.yaml", "a.json"):
        refused = None
        try:
            read_manifest(name, damaged)
        except Unreadable as error:
            refused = error

        assert refused is None or (refused.line >= 1 and refused.reason)
