"""Bytes of an API server decode to what the same object decodes to when it was read from a file."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.kubeapi.jsonbytes import DEEPEST, shallow
from towpath.model.names import Kind
from towpath.sources.decode import decode, decode_json

META = {"name": "a", "namespace": "shop", "labels": {"a": "b"}, "resourceVersion": "7"}
SLICE = {**META, "labels": {"kubernetes.io/service-name": "a"}}
PORT = {"name": "a", "port": 1, "protocol": "TCP", "targetPort": "a"}
SOURCE = {"kind": "ServiceAccount", "name": "a", "namespace": "a"}
OBJECTS: dict[Kind, dict[str, Any]] = {
    Kind.NAMESPACE: {"apiVersion": "v1", "metadata": META},
    Kind.SERVICE_ACCOUNT: {"apiVersion": "v1", "metadata": META},
    Kind.POD: {
        "apiVersion": "v1",
        "metadata": META,
        "spec": {
            "serviceAccountName": "a",
            "containers": [{"ports": [{"name": "a", "containerPort": 1}]}],
            "initContainers": [{"restartPolicy": "Always", "ports": None}],
        },
        "status": {"phase": "Running"},
    },
    Kind.SERVICE: {
        "apiVersion": "v1",
        "metadata": META,
        "spec": {"clusterIP": "10.0.0.1", "ports": [PORT], "selector": {"a": "b"}},
    },
    Kind.ENDPOINT_SLICE: {
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": SLICE,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [PORT],
    },
    Kind.MESH_CONFIG: {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "metadata": {**META, "name": "osm-mesh-config"},
        "spec": {"traffic": {"enableEgress": True}},
    },
    Kind.EGRESS: {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "metadata": META,
        "spec": {
            "sources": [SOURCE],
            "hosts": ["a.test"],
            "ports": [{"number": 80, "protocol": "http"}],
        },
    },
    Kind.HTTP_ROUTE_GROUP: {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "metadata": META,
        "spec": {"matches": [{"name": "a", "pathRegex": "/", "methods": ["GET"]}]},
    },
    Kind.TRAFFIC_TARGET: {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "metadata": META,
        "spec": {
            "destination": SOURCE,
            "sources": [SOURCE],
            "rules": [{"kind": "HTTPRouteGroup", "name": "a", "matches": ["a"]}],
        },
    },
    Kind.TRAFFIC_SPLIT: {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "metadata": META,
        "spec": {
            "service": "a",
            "backends": [{"service": "b", "weight": 1}],
            "matches": [{"kind": "HTTPRouteGroup", "name": "a"}],
        },
    },
    Kind.TCP_ROUTE: {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "metadata": META,
        "spec": {"matches": {"ports": [1]}},
    },
    Kind.INGRESS_BACKEND: {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "metadata": META,
        "spec": {
            "backends": [{"name": "a", "port": {"number": 80, "protocol": "https"}}],
            "sources": [{"kind": "Service", "name": "a", "namespace": "b"}],
        },
    },
    Kind.RETRY: {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "metadata": META,
        "spec": {
            "source": SOURCE,
            "destinations": [{"kind": "Service", "name": "a", "namespace": "b"}],
            "retryPolicy": {"retryOn": "5xx,503", "numRetries": 2, "perTryTimeout": "1s"},
        },
    },
    Kind.UPSTREAM_TRAFFIC_SETTING: {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "metadata": META,
        "spec": {"host": "a.test"},
    },
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def places(value: object) -> list[tuple[Any, str | int]]:
    """Every (container, key) in the value."""
    if isinstance(value, dict):
        return [(value, k) for k in value] + [p for v in value.values() for p in places(v)]
    if isinstance(value, list):
        return [(value, i) for i in range(len(value))] + [p for v in value for p in places(v)]
    return []


@pytest.mark.parametrize("kind", Kind)
def test_a_sound_object_is_read_with_its_version(kind: Kind) -> None:
    data = json.dumps(OBJECTS[kind]).encode()
    found = decode_json(kind, data)

    assert found.value is not None
    assert "7" == found.version
    assert decode({**OBJECTS[kind], "kind": kind.value}, "") == replace(found, version="")


@settings(max_examples=examples(100))
@given(st.sampled_from(Kind), json_values, st.randoms(use_true_random=False))
def test_any_value_in_any_field_gives_the_same_from_bytes(
    kind: Kind, value: object, chance: random.Random
) -> None:
    raw = copy.deepcopy(OBJECTS[kind])
    container, key = chance.choice(places(raw))
    container[key] = value
    head = {"apiVersion": OBJECTS[kind]["apiVersion"], "kind": kind.value}

    found = decode_json(kind, json.dumps(raw).encode())

    assert decode({**raw, **head}, "") == replace(found, version="")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"null", b"{", b'{"metadata":{"name":"\xff"}}'])
def test_what_is_no_json_object_is_refused(kind: Kind, data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(kind, data)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_not_held(phase: str) -> None:
    ended = {**OBJECTS[Kind.POD], "kind": "Pod", "status": {"phase": phase}}

    assert (None, ()) == (decode(ended, "").value, decode(ended, "").problems)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("levels", [900, 960, 990, 1100, 9000])
def test_what_is_nested_too_deeply_in_a_field_that_nobody_reads_does_no_harm(
    kind: Kind, levels: int
) -> None:
    whole = json.dumps(OBJECTS[kind]).encode()
    name = b"x" if kind is Kind.POD else b"status"  # which the decoder of Pods looks into
    deep = whole[:-1] + b', "%s": ' % name + b'[{"a":' * levels + b"1" + b"}]" * levels + b"}"
    found, plain = decode_json(kind, deep), decode_json(kind, whole)

    assert (plain.value, plain.version) == (found.value, found.version)


@given(st.text(), st.integers(1, 3))
def test_only_what_is_too_deep_is_cut(text: str, beside: int) -> None:
    within = [text, {text: [text] * beside}, '"[{\\']
    value: object = within
    for _ in range(DEEPEST - 4):
        value = [value]
    data = json.dumps([value, text]).encode()
    assert data == shallow(data)

    deeper = json.loads(shallow(json.dumps([[[value, text]], text]).encode()))
    for _ in range(DEEPEST - 1):
        deeper = deeper[0]
    assert [text, None, '"[{\\'] == deeper
