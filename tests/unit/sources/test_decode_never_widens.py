"""Whatever stands in a restriction of a policy, it never allows more than no restriction would
be read as being there: what is not understood matches nothing.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from towpath.model.egress import Egress, HTTPRouteGroup
from towpath.sources.decode import Decoded, decode

# Anything that JSON can hold, but what rightly means «no restriction»: null, or an empty list.
scalars = st.booleans() | st.integers(-5, 99999) | st.floats(allow_nan=False) | st.text(max_size=8)
anything = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
something = anything.filter(lambda value: value not in (None, []))

SOURCE = {"kind": "ServiceAccount", "name": "a", "namespace": "c"}


def _decode(kind: str, version: str, spec: dict[str, Any]) -> Decoded:
    metadata = {"name": "x", "namespace": "c"}
    return decode({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}, "p")


def _policy(**change: Any) -> Decoded:
    ports = [{"number": 80, "protocol": "http"}, {"number": 443, "protocol": "https"}]
    spec = {"sources": [SOURCE], "hosts": ["a.test"], "ports": ports, **change}
    return _decode("Egress", "policy.openservicemesh.io/v1alpha1", spec)


def _matches(match: dict[str, Any]) -> tuple[Decoded, HTTPRouteGroup]:
    found = _decode("HTTPRouteGroup", "specs.smi-spec.io/v1alpha4", {"matches": [match]})
    return found, cast("HTTPRouteGroup", found.value)


@given(something)
def test_ranges_that_are_there_never_become_any_address(value: Any) -> None:
    found = _policy(ipAddresses=value)

    assert cast("Egress", found.value).ranges is not None
    assert found.problems


@given(something)
def test_hosts_that_are_there_never_become_any_host(value: Any) -> None:
    assert cast("Egress", _policy(hosts=value).value).hosts is not None


@given(something)
def test_matches_that_are_there_never_become_any_request(value: Any) -> None:
    found = _policy(matches=value)

    assert cast("Egress", found.value).route_groups is not None
    assert found.problems


@given(something)
def test_a_match_with_headers_that_are_there_never_forgets_them(value: Any) -> None:
    found, group = _matches({"name": "m", "pathRegex": "/a", "headers": value})

    # An empty mapping, or a list of such, says no header, and nothing else may.
    empty = value == {} or (isinstance(value, list) and all(item == {} for item in value))
    assert empty or found.problems or all(match.headers for match in group.matches)
    assert empty or not found.problems or not group.matches


@given(something)
def test_a_path_that_is_no_text_allows_nothing(value: Any) -> None:
    found, group = _matches({"name": "m", "pathRegex": value})

    assert isinstance(value, str) or (not group.matches and found.problems)


@given(something)
def test_methods_that_are_there_never_become_any_method(value: Any) -> None:
    _, group = _matches({"name": "m", "pathRegex": "/a", "methods": value})

    said_any = isinstance(value, list) and "*" in value
    assert said_any or all(match.methods for match in group.matches)
