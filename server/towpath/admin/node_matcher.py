"""Which clients a request for status speaks of: Envoy's matchers of nodes, evaluated in full.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/node.proto
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import re2
from envoy.config.core.v3.base_pb2 import Node
from envoy.type.matcher.v3.node_pb2 import NodeMatcher
from envoy.type.matcher.v3.number_pb2 import DoubleMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.struct_pb2 import StructMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from google.protobuf.struct_pb2 import Value

from towpath.regex import LONGEST_REGEX

Matches = Callable[[Any], bool]

DEEPEST = 20
"""How deep matchers of values may be nested."""

_KIND = {
    "null_match": "null_value",
    "double_match": "number_value",
    "string_match": "string_value",
    "bool_match": "bool_value",
    "list_match": "list_value",
}


def node_matcher(matchers: Iterable[NodeMatcher]) -> Callable[[Node], bool]:
    """True for nodes that one of the matchers takes, for every node if there is no matcher.

    ValueError, with the path of the field, for a matcher that cannot be evaluated.
    """
    each = [_node(m, f"node_matchers[{i}]") for i, m in enumerate(matchers)]
    return lambda node: not each or any(matches(node) for matches in each)


def _node(matcher: NodeMatcher, field: str) -> Callable[[Node], bool]:
    """All that one matcher says must hold."""
    of_id = [_string(matcher.node_id, f"{field}.node_id")] if matcher.HasField("node_id") else []
    of_metadata = [
        _struct(m, f"{field}.node_metadatas[{i}]") for i, m in enumerate(matcher.node_metadatas)
    ]

    def matches(node: Node) -> bool:
        return all(one(node.id) for one in of_id) and all(one(node.metadata) for one in of_metadata)

    return matches


def _struct(matcher: StructMatcher, field: str) -> Matches:
    keys = [segment.key for segment in matcher.path]
    if not keys:
        raise ValueError(f"{field}.path is empty: it must name a key of the metadata")
    matches = _value(matcher.value, f"{field}.value", depth=0)

    def follow(metadata: Any) -> bool:
        value = Value(struct_value=metadata)
        for key in keys:
            fields = value.struct_value.fields
            value = fields[key] if key in fields else Value()
        return matches(value)

    return follow


def _value(matcher: ValueMatcher, field: str, *, depth: int) -> Matches:
    """A Value without any kind is one that is not there."""
    pattern = matcher.WhichOneof("match_pattern")
    if depth > DEEPEST:
        raise ValueError(f"{field}: matchers are nested more than {DEEPEST} deep")
    if pattern is None:
        raise ValueError(f"{field} does not say what to match")
    if pattern == "or_match":
        each = [
            _value(m, f"{field}.or_match.value_matchers[{i}]", depth=depth + 1)
            for i, m in enumerate(matcher.or_match.value_matchers)
        ]
        return lambda value: any(matches(value) for matches in each)
    if pattern == "present_match":
        return lambda value: bool((value.WhichOneof("kind") is not None) == matcher.present_match)
    kind = _KIND[pattern]
    content = _content(matcher, f"{field}.{pattern}", depth=depth)
    return lambda value: value.WhichOneof("kind") == kind and content(getattr(value, kind))


def _content(matcher: ValueMatcher, field: str, *, depth: int) -> Matches:
    """What must hold of a value that is of the right kind."""
    match matcher.WhichOneof("match_pattern"):
        case "double_match":
            return _double(matcher.double_match, field)
        case "string_match":
            return _string(matcher.string_match, field)
        case "bool_match":
            return lambda value: bool(value is matcher.bool_match)
        case "list_match":
            one = _value(matcher.list_match.one_of, f"{field}.one_of", depth=depth + 1)
            return lambda value: any(one(element) for element in value.values)
        case _:
            return lambda _: True


def _double(matcher: DoubleMatcher, field: str) -> Matches:
    match matcher.WhichOneof("match_pattern"):
        case "exact":
            return lambda value: bool(value == matcher.exact)
        case "range":
            return lambda value: bool(matcher.range.start <= value < matcher.range.end)
        case _:
            raise ValueError(f"{field} does not say what to match: set exact or range")


def _string(matcher: StringMatcher, field: str) -> Matches:
    pattern = matcher.WhichOneof("match_pattern")
    if pattern == "safe_regex":
        return _regex(matcher.safe_regex.regex, f"{field}.safe_regex.regex")
    compare: dict[str | None, Callable[[str, str], bool]] = {
        "exact": str.__eq__,
        "prefix": str.startswith,
        "suffix": str.endswith,
        "contains": str.__contains__,
    }
    if pattern not in compare:
        allowed = ", ".join([*map(str, compare), "safe_regex"])
        raise ValueError(f"{field}: {pattern or 'nothing'} is set; allowed is one of {allowed}")
    fold = str.lower if matcher.ignore_case else str
    expected, holds = fold(getattr(matcher, str(pattern))), compare[pattern]
    return lambda text: holds(fold(text), expected)


def _regex(regex: str, field: str) -> Matches:
    if len(regex) > LONGEST_REGEX:
        raise ValueError(f"{field} has {len(regex)} characters: allowed are {LONGEST_REGEX}")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(regex, options)
    except re2.error as error:
        raise ValueError(f"{field} {regex!r} is not an RE2 expression: {error}") from error
    return lambda text: compiled.fullmatch(text) is not None
