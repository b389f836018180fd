"""A mistake in what restricts a policy never lifts the restriction; it is said, and it closes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.model.egress import Egress, HTTPRouteGroup
from towpath.model.problem import Problem
from towpath.sources.decode import decode
from towpath.sources.decode.expressions import MOST_STEPS
from towpath.sources.decode.findings import LONGEST_FIELD, LONGEST_MESSAGE, MOST_PROBLEMS

GROUP = "specs.smi-spec.io/v1alpha4"
POLICY = "policy.openservicemesh.io/v1alpha1"
SETTING = {"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": "limits"}
REFERENCE = {"apiGroup": GROUP, "kind": "HTTPRouteGroup", "name": "g"}

no_list: st.SearchStrategy[Any] = st.one_of(
    st.just({}),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
no_text = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just({}), st.just([]), st.just(["10.0.0.0/8"])
)
no_mapping = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just([REFERENCE])
)


def _egress(**spec: Any) -> tuple[Egress, tuple[Problem, ...]]:
    source = {"kind": "ServiceAccount", "name": "curl", "namespace": "curl"}
    ports = [{"number": 80, "protocol": "http"}, {"number": 443, "protocol": "https"}]
    whole = {"sources": [source], "hosts": ["a.test"], "ports": ports, **spec}
    metadata = {"name": "x", "namespace": "curl"}
    raw = {"apiVersion": POLICY, "kind": "Egress", "metadata": metadata, "spec": whole}
    found = decode(raw, "p.yaml:1")
    return cast("Egress", found.value), found.problems


def _group(match: dict[str, Any], **spec: Any) -> tuple[HTTPRouteGroup, tuple[Problem, ...]]:
    metadata = {"name": "g", "namespace": "curl"}
    whole = {"matches": [{"name": "m", **match}], **spec}
    raw = {"apiVersion": GROUP, "kind": "HTTPRouteGroup", "metadata": metadata, "spec": whole}
    found = decode(raw, "g.yaml:1")
    return cast("HTTPRouteGroup", found.value), found.problems


@given(field=st.sampled_from(("hosts", "ipAddresses")), given_=no_list)
def test_a_restriction_that_is_no_list_matches_nothing(field: str, given_: Any) -> None:
    value, problems = _egress(**{field: given_})

    assert (value.hosts if field == "hosts" else value.ranges) == ()
    assert f"spec.{field}" in {problem.field for problem in problems}


@given(field=st.sampled_from(("hosts", "ipAddresses")), item=no_text)
def test_an_item_that_is_no_text_matches_nothing(field: str, item: Any) -> None:
    value, problems = _egress(**{field: [item]})

    assert (value.hosts if field == "hosts" else value.ranges) == ()
    assert f"spec.{field}[0]" in {problem.field for problem in problems}


@given(matches=no_list)
def test_matches_that_are_no_list_allow_no_request(matches: Any) -> None:
    value, problems = _egress(matches=matches)

    assert value.route_groups == ()
    assert "spec.matches" in {problem.field for problem in problems}


@given(item=no_mapping, beside=st.sampled_from(((), (SETTING,))))
def test_a_match_that_is_no_mapping_allows_no_request(item: Any, beside: tuple[Any, ...]) -> None:
    value, problems = _egress(matches=[*beside, item])

    assert value.route_groups == ()
    assert f"spec.matches[{len(beside)}]" in {problem.field for problem in problems}


def test_a_setting_alone_restricts_no_request() -> None:
    value, _ = _egress(matches=[SETTING])

    assert value.route_groups is None
    assert value.setting == "limits"


def test_a_match_that_is_no_mapping_leaves_the_groups_that_are_named() -> None:
    value, _ = _egress(matches=["g", REFERENCE])

    assert value.route_groups == ("g",)


def test_the_same_setting_twice_is_two_all_the_same() -> None:
    """As the schema, and Open Service Mesh, count."""
    value, problems = _egress(matches=[SETTING, SETTING])

    assert value.closed
    assert any("Cannot have more than 1" in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ("x-user: me", "headers"),
        (["x-user"], "headers[0]"),
        ([None], "headers[0]"),
        ([["x-user", "me"]], "headers[0]"),
        (7, "headers"),
        ([{"x-user": None}], "headers[0].x-user"),
        ({"x-user": 7}, "headers.x-user"),
    ],
)
def test_headers_that_cannot_be_read_allow_no_request(headers: Any, field: str) -> None:
    value, problems = _group({"headers": headers})

    assert value.matches == ()
    assert f"spec.matches[0].{field}" in {problem.field for problem in problems}


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a:", ":path", "ü", "x" * 257])
def test_what_is_no_name_of_a_header_allows_no_request(name: str) -> None:
    """A sidecar would refuse some of them, and with them all routes of the port."""
    value, problems = _group({"headers": [{name: "v"}]})

    assert value.matches == ()
    assert any("the name of an HTTP header" in problem.message for problem in problems)


def test_headers_may_be_one_mapping() -> None:
    value, problems = _group({"headers": {"X-User": "me"}})

    assert value.matches[0].headers == (("x-user", "me"),)
    assert problems == ()


@pytest.mark.parametrize(("path", "steps"), [("/[a-z]{900}", 0), ("/[a-z]{1000}", 1005)])
def test_an_expression_is_only_as_large_as_sidecars_take(path: str, steps: int) -> None:
    value, problems = _group({"pathRegex": path})

    assert len(value.matches) == (0 if steps else 1)
    said = [f"at most 1000 steps, not {steps}" in problem.message for problem in problems]
    assert any(said) == bool(steps)


@pytest.mark.parametrize(
    "match",
    [
        {"pathRegex": 7},
        {"pathRegex": "("},
        {"methods": ["GRAB"]},
        {"methods": "GET"},
        {"headers": [{"x-user": 7}]},
        {"headers": ["x-user"]},
    ],
)
def test_a_bad_match_is_left_out_though_its_problem_is_only_counted(match: dict[str, Any]) -> None:
    unknown = {f"unknown{number}": 1 for number in range(MOST_PROBLEMS + 5)}
    value, problems = _group(match, **unknown)

    assert value.matches == ()
    assert "more problems than the 100 that are listed" in problems[-1].message


@pytest.mark.parametrize("host", ["192.0.2.1", "1.2.3", "0.0.0.0", "42"])
def test_a_number_as_a_host_of_https_is_said_to_match_nothing(host: str) -> None:
    _, problems = _egress(hosts=[host])

    assert any("TLS does not name an address" in problem.message for problem in problems)


def test_the_sidecars_own_port_is_named() -> None:
    _, problems = _egress(ports=[{"number": 15001, "protocol": "tcp"}])

    assert "65535 other than 15001, which is the sidecar's own" in problems[0].message


def test_what_the_expressions_of_a_group_take_together_is_bounded() -> None:
    """A group of 20 kB kept the server busy for half a minute."""
    matches = [{"name": "m", "pathRegex": "(x{0,30}){0,33}"}] * 1000
    value, problems = _group({}, matches=[*matches, {"name": "last", "pathRegex": "/get"}])

    assert value.matches == ()
    said = [problem.message for problem in problems]
    assert sum("not 2083" in message for message in said) == MOST_STEPS // 2103 + 1
    assert any("at most 100,000 steps together" in message for message in said)


@pytest.mark.parametrize("path", [r"/\pL", r"/\\\P{Greek}", r"(?i)" + r"\pL" * 300])
def test_a_class_of_unicode_is_refused_before_it_is_compiled(path: str) -> None:
    value, problems = _group({"pathRegex": path})

    assert value.matches == ()
    assert any("without classes of Unicode" in problem.message for problem in problems)


def test_a_backslash_before_a_p_is_no_class_of_unicode() -> None:
    value, problems = _group({"pathRegex": r"/\\p"})

    assert [match.path for match in value.matches] == [r"/\\p"]
    assert problems == ()


def test_names_and_values_of_any_length_or_form_make_a_line_that_can_be_read() -> None:
    name = "x\n\x1b[31m" * 1000
    _, problems = _group({"headers": [{name: "("}]}, **{name: 1})

    assert len(problems) == 4
    for problem in problems:
        assert len(problem.field) <= LONGEST_FIELD
        assert len(problem.message) <= LONGEST_MESSAGE
        assert str(problem).isprintable()
