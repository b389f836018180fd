"""Suggest: what is suggested can be applied as it is, and allows the attempt beside all others."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.objects import mesh_config, mesh_of, namespace
from towpath.answers.explain import explain, parse_attempt
from towpath.answers.suggest import suggestion
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.planning.egress.decide import Attempt
from towpath.sources.decode import decode

accounts = st.builds(
    Account,
    st.sampled_from(("shop", "123", "true", "null", "1e3", "0x1f")),
    st.sampled_from(("default", "123", "on", "1.5", "a.b")),
)
hosts = st.sampled_from(
    (
        *("a.test", "A.Test", "*.a.test", "a.test.", "a_b.test", "-a.test", "::1", "", "1.2.3"),
        *("10.1.2.3", "x" * 64 + ".test", "xn--bcher-kva.test", "a.test:80", "ü.test"),
    )
)
paths = st.text("ab/.*+?()[]{}|^$~%-_ \\\"'#:\tü😀", max_size=150).map(lambda text: f"/{text}")
attempts = st.builds(
    Attempt,
    address=st.sampled_from((None, "10.1.2.3")),
    port=st.sampled_from((1, 80, 443, 15001, 65535)),
    protocol=st.sampled_from((Protocol.HTTP, Protocol.HTTPS, Protocol.TCP)),
    host=hosts,
    method=st.sampled_from(("GET", "PROPFIND", "*")),
    path=paths,
)


def _objects(account: Account, attempt: Attempt) -> tuple[Object, ...]:
    written = suggestion(account, attempt)
    decoded = [decode(raw, "suggested") for raw in yaml.safe_load_all(written)]
    assert [problem for found in decoded for problem in found.problems] == [], written
    return tuple(found.value for found in decoded if found.value is not None)


def _mesh(account: Account, *objects: Object) -> Mesh:
    return mesh_of(namespace(account.namespace), mesh_config(policies=True), *objects)


@settings(deadline=None)
@given(account=accounts, attempt=attempts)
def test_what_is_suggested_is_valid_and_allows_the_attempt(
    account: Account, attempt: Attempt
) -> None:
    objects = _objects(account, attempt)
    if objects:
        mesh = _mesh(account, *objects)
        assert explain(mesh, account, attempt, ()).decision.allowed


@settings(deadline=None)
@given(account=accounts, first=attempts, second=attempts)
def test_a_second_suggestion_takes_nothing_of_the_first_away(
    account: Account, first: Attempt, second: Attempt
) -> None:
    """Both are applied, as kubectl does it: an object of the same name is replaced."""
    objects = (*_objects(account, first), *_objects(account, second))
    mesh = _mesh(account, *{(o.kind, o.name): o for o in objects}.values())
    for attempt in (first, second):
        if suggestion(account, attempt):
            assert explain(mesh, account, attempt, ()).decision.allowed


def test_another_account_gets_a_policy_of_its_own() -> None:
    attempt = parse_attempt("https://a.test")
    names = {
        yaml.safe_load(suggestion(Account("shop", name), attempt))["metadata"]["name"]
        for name in ("a", "b")
    }

    assert len(names) == 2


@pytest.mark.parametrize(
    "target", ["http://ü.test/", "https://1.2.3", "http://a.test:15001/", "10.0.0.1:15001"]
)
def test_nothing_is_suggested_that_no_policy_can_say(target: str) -> None:
    assert suggestion(Account("shop", "default"), parse_attempt(target)) == ""


def test_a_host_that_no_policy_can_name_is_allowed_by_its_address() -> None:
    attempt = parse_attempt("http://-a.test/", address="10.1.2.3")
    spec = yaml.safe_load(suggestion(Account("shop", "default"), attempt))["spec"]

    assert spec["ipAddresses"] == ["10.1.2.3/32"]
    assert spec["ports"] == [{"number": 80, "protocol": "tcp"}]


def test_only_the_path_that_was_asked_for_is_allowed() -> None:
    account = Account("shop", "default")
    mesh = _mesh(account, *_objects(account, parse_attempt("http://a.test/a.b")))

    for path, allowed in (("/a.b", True), ("/axb", False), ("/a.b/c", False)):
        asked = parse_attempt(f"http://a.test{path}")
        assert explain(mesh, account, asked, ()).decision.allowed == allowed


@pytest.mark.parametrize(("length", "said"), [(10, False), (500, True)])
def test_a_suggestion_that_allows_more_than_was_asked_says_so(length: int, *, said: bool) -> None:
    attempt = parse_attempt("http://a.test/" + "a" * length)
    written = suggestion(Account("shop", "default"), attempt)

    assert ("allows every path with that prefix" in written) is said
