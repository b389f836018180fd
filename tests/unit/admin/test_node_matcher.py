"""Node matchers: which clients a request for status speaks of."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.type.matcher.v3.node_pb2 import NodeMatcher
from google.protobuf.json_format import ParseDict

from towpath.admin.node_matcher import node_matcher

METADATA = {
    "zone": "eu-1",
    "weight": 2.5,
    "canary": True,
    "none": None,
    "tags": ["a", "b"],
    "deep": {"er": {"x": "y"}},
}


def _matches(*matchers: dict[str, Any], node_id: str = "curl.shop") -> bool:
    node = ParseDict({"id": node_id, "metadata": METADATA}, Node())
    return node_matcher([ParseDict(m, NodeMatcher()) for m in matchers])(node)


def _by_metadata(path: str, value: dict[str, Any]) -> dict[str, Any]:
    segments = [{"key": key} for key in path.split(".")]
    return {"node_metadatas": [{"path": segments, "value": value}]}


@pytest.mark.parametrize("matchers", [(), ({},)])
def test_who_says_nothing_speaks_of_every_client(matchers: tuple[dict[str, Any], ...]) -> None:
    assert _matches(*matchers)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"exact": "curl.shop"}, True),
        ({"exact": "curl"}, False),
        ({"exact": "CURL.shop", "ignore_case": True}, True),
        ({"exact": "CURL.shop"}, False),
        ({"prefix": "curl."}, True),
        ({"suffix": ".shop"}, True),
        ({"suffix": ".bank"}, False),
        ({"contains": "l.s"}, True),
        ({"safe_regex": {"regex": r"c.*\.shop"}}, True),
        ({"safe_regex": {"regex": "curl"}}, False),
    ],
)
def test_a_node_id_is_matched_as_envoy_matches_strings(
    pattern: dict[str, Any], *, expected: bool
) -> None:
    assert expected == _matches({"node_id": pattern})


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("zone", {"string_match": {"prefix": "eu"}}, True),
        ("zone", {"string_match": {"prefix": "us"}}, False),
        ("zone", {"bool_match": True}, False),
        ("weight", {"double_match": {"exact": 2.5}}, True),
        ("weight", {"double_match": {"range": {"start": 2, "end": 2.5}}}, False),
        ("weight", {"double_match": {"range": {"start": 2.5, "end": 3}}}, True),
        ("canary", {"bool_match": True}, True),
        ("canary", {"bool_match": False}, False),
        ("none", {"null_match": {}}, True),
        ("zone", {"null_match": {}}, False),
        ("tags", {"list_match": {"one_of": {"string_match": {"exact": "b"}}}}, True),
        ("tags", {"list_match": {"one_of": {"string_match": {"exact": "c"}}}}, False),
        ("zone", {"present_match": True}, True),
        ("gone", {"present_match": True}, False),
        ("gone", {"present_match": False}, True),
        ("gone.too", {"string_match": {"contains": ""}}, False),
        ("zone.below", {"present_match": True}, False),
        ("deep.er.x", {"string_match": {"exact": "y"}}, True),
        (
            "canary",
            {"or_match": {"value_matchers": [{"null_match": {}}, {"bool_match": True}]}},
            True,
        ),
    ],
)
def test_metadata_is_matched_along_its_path(
    path: str, value: dict[str, Any], *, expected: bool
) -> None:
    assert expected == _matches(_by_metadata(path, value))


def test_one_matcher_wants_all_that_it_says_and_of_several_one_is_enough() -> None:
    good, bad = {"exact": "curl.shop"}, {"exact": "web.shop"}
    in_us = _by_metadata("zone", {"string_match": {"prefix": "us"}})

    assert not _matches({"node_id": good, **in_us})
    assert _matches({"node_id": bad}, {"node_id": good})
    assert not _matches({"node_id": bad}, in_us)


@pytest.mark.parametrize(
    ("matcher", "said"),
    [
        ({"node_id": {}}, r"node_matchers\[0\]\.node_id: nothing is set; allowed is one of exact"),
        ({"node_id": {"custom": {}}}, "node_id: custom is set"),
        ({"node_id": {"safe_regex": {"regex": "("}}}, r"safe_regex\.regex '\(' is not an RE2"),
        ({"node_id": {"safe_regex": {"regex": "a" * 1001}}}, "1001 characters: allowed are 1000"),
        (
            {"node_metadatas": [{"value": {"null_match": {}}}]},
            r"node_metadatas\[0\]\.path is empty",
        ),
        (_by_metadata("zone", {}), r"node_metadatas\[0\]\.value does not say"),
        (_by_metadata("zone", {"double_match": {}}), r"value\.double_match does not say"),
        (
            _by_metadata("zone", {"or_match": {"value_matchers": [{"string_match": {}}]}}),
            r"or_match\.value_matchers\[0\]\.string_match: nothing is set",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_its_field(
    matcher: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        _matches(matcher)


def test_a_matcher_that_is_nested_without_end_is_refused() -> None:
    value: dict[str, Any] = {"null_match": {}}
    for _ in range(21):
        value = {"list_match": {"one_of": value}}

    with pytest.raises(ValueError, match="nested more than 20 deep"):
        _matches(_by_metadata("tags", value))
