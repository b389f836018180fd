"""A namespace: whose it is, and what its annotations say of the sidecars of its pods."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from towpath.model.names import Kind
from towpath.model.observation import EgressObservation
from towpath.model.workloads import Namespace
from towpath.sources.decode import decode, decode_json


def read(**metadata: Any) -> object:
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", **metadata}}
    decoded = decode(raw, "")
    assert decoded == decode_json(Kind.NAMESPACE, msgspec.json.encode(raw))
    return decoded.value


def test_only_the_meshs_annotations_are_kept() -> None:
    injection, metrics = ("openservicemesh.io/sidecar-injection", "openservicemesh.io/metrics")
    annotations = {metrics: "enabled", "kubectl.kubernetes.io/x": "{}", injection: "yes"}
    expected = Namespace("shop", None, annotations=((metrics, "enabled"), (injection, "yes")))

    assert expected == read(annotations=annotations)
    assert "yes" == expected.annotation(injection)
    assert None is expected.annotation("kubectl.kubernetes.io/x")


@pytest.mark.parametrize("text", ["true", "", "false"])
def test_the_label_alone_makes_it_ignored(text: str) -> None:
    labels = {"openservicemesh.io/ignore": text, "openservicemesh.io/monitored-by": "osm"}

    assert Namespace("shop", "osm", ignored=True) == read(labels=labels)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("names", EgressObservation.NAMES),
        ("disable", EgressObservation.DISABLED),
        ("Reports", EgressObservation.DISABLED),
        ("", EgressObservation.DISABLED),
    ],
)
def test_one_that_does_not_say_clearly_how_it_is_observed_is_not(
    text: str, mode: EgressObservation
) -> None:
    annotations = {"openservicemesh.io/observe-egress": text}

    assert Namespace("shop", None, observe_egress=mode) == read(annotations=annotations)
