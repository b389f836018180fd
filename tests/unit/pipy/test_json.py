"""SidecarConfig and the JSON of osm-edge's Pipy scripts, both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from support.examples import examples
from support.messages import contains, messages
from towpath_api.v1.pipy import from_json, to_json, version_of
from towpath_api.v1.sidecar_pb2 import SidecarConfig

FOLDER = Path(__file__).parent
EVERYTHING = (FOLDER / "everything.json").read_text()
EXAMPLE = (FOLDER / "example.json").read_text()
MANUAL = {"Spec": {"SidecarLogLevel": "error", "Traffic": {"EnableEgress": True}}}


def test_every_shape_comes_out_byte_for_byte() -> None:
    assert EVERYTHING == to_json(from_json(EVERYTHING))


def test_an_egress_configuration_of_osm_edge_comes_out_as_it_is() -> None:
    written = json.loads(to_json(from_json(EXAMPLE)))

    assert contains(written, json.loads(EXAMPLE))
    assert written["Outbound"] == json.loads(EXAMPLE)["Outbound"]


def test_the_manuals_configuration_comes_out_with_the_fields_it_does_not_show() -> None:
    written = json.loads(to_json(from_json(json.dumps(MANUAL))))

    assert contains(written, MANUAL)
    assert [
        "Ts",
        "Version",
        "Spec",
        "Certificate",
        "Inbound",
        "Outbound",
        "Forward",
        "AllowedEndpoints",
    ] == list(written)
    assert {**written, "Spec": None, "AllowedEndpoints": None} == dict.fromkeys(written)
    assert {} == written["AllowedEndpoints"]


def test_the_version_is_written_beside_the_configuration() -> None:
    text = to_json(from_json(EVERYTHING), version="0123")

    assert text.startswith('{\n "Ts": null,\n "Version": "0123",\n')
    assert "0123" == version_of(text)
    assert from_json(EVERYTHING) == from_json(text)


@given(messages(SidecarConfig))
@settings(max_examples=examples(150), suppress_health_check=list(HealthCheck))
def test_what_was_written_is_read_back_equal(config: SidecarConfig) -> None:
    assert config == from_json(to_json(config), name=config.name)


@given(messages(SidecarConfig))
@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
def test_equal_messages_give_equal_text(config: SidecarConfig) -> None:
    copy = SidecarConfig.FromString(config.SerializeToString())

    assert to_json(config) == to_json(copy)
    assert config.SerializeToString(deterministic=True) == copy.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a mapping is expected, not []"),
        ('{"Specs": {}}', "Specs: not a known key; known are Spec, Certificate"),
        ('{"Spec": {"Traffic": {"EnableEgress": "yes"}}}', "Spec.Traffic.EnableEgress: "),
        ('{"Spec": {"SidecarTimeout": 5000000000}}', "Spec.SidecarTimeout: "),
        ('{"Spec": 3}', "Spec: a mapping is expected, not 3"),
        ('{"Outbound": {"TrafficMatches": {"http": []}}}', "TrafficMatches.http: the key must be"),
        ('{"Outbound": {"TrafficMatches": {"80": {}}}}', "TrafficMatches.80: a list is expected"),
        ('{"Outbound": {"TrafficMatches": {"80": [{"Port": "x"}]}}}', "TrafficMatches.80[0].Port"),
        ('{"Chains": {"a": [1]}}', "Chains.a[0]: "),
        ('{"Chains": []}', "Chains: a mapping is expected, not []"),
        ('{"Spec": {"Probes": {"ReadinessProbes": [3]}}}', "Spec.Probes.ReadinessProbes[0]: "),
        ("{", "Expecting property name"),
    ],
)
def test_text_that_is_no_configuration_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        from_json(text)


def test_text_without_a_version_has_none() -> None:
    assert version_of("[]") is None
    assert version_of('{"Version": 3}') is None
    assert version_of(EVERYTHING) is None
