"""Explain and suggest: the answer, the way to it, and a policy that would change it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.objects import (
    egress,
    endpoint_slice,
    mesh_config,
    mesh_of,
    namespace,
    route_group,
    service,
)
from towpath.hub.explain import explain, parse_attempt
from towpath.hub.suggest import suggestion
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.model.problem import Problem
from towpath.planning import problems
from towpath.planning.egress.decide import Attempt, Decision
from towpath.sources.decode import decode

DEFAULT = Account("shop", "default")


def _mesh(*objects: Object, through: bool = False) -> Mesh:
    switches = mesh_config(policies=True, egress=through)
    return mesh_of(namespace("shop"), switches, *objects)


def _explain(mesh: Mesh, target: str, *, account: Account = DEFAULT) -> Decision:
    attempt = parse_attempt(target)
    return explain(mesh, account, attempt, problems(mesh)).decision


def test_an_allowed_request_names_its_policy_and_match() -> None:
    decision = _explain(
        _mesh(egress(route_groups=("get",)), route_group()), "http://httpbin.org/get"
    )

    assert decision.allowed
    assert decision.via == "httpbin.org:80"
    assert decision.policies == ("shop/out",)
    assert decision.reasons[-1] == "GET /get matches any method /get of shop/out"


def test_a_refused_path_says_what_is_allowed() -> None:
    decision = _explain(_mesh(egress(route_groups=("get",)), route_group()), "http://httpbin.org/x")

    assert not decision.allowed
    assert any("any method /get" in reason for reason in decision.reasons)


def test_an_in_mesh_service_is_found_by_its_name() -> None:
    mesh = _mesh(service(), endpoint_slice("web", "10.0.0.1"))

    for name in ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"):
        assert _explain(mesh, f"http://{name}/").via == "shop/web|80"


def test_passthrough_is_the_last_reason() -> None:
    decision = _explain(_mesh(through=True), "10.1.2.3:22")

    assert decision.via == "passthrough-outbound"
    assert decision.reasons[-1] == "egress passthrough is on"


def test_a_namespace_outside_the_mesh_is_said_first() -> None:
    decision = _explain(_mesh(), "http://a.test/", account=Account("else", "x"))

    assert decision.reasons[0] == "namespace else is not part of mesh osm"


def test_problems_of_the_accounts_policies_come_along() -> None:
    mesh = _mesh(egress(route_groups=("gone",)), egress("other", sources=(Account("shop", "y"),)))
    found = explain(mesh, DEFAULT, parse_attempt("http://httpbin.org/"), problems(mesh)).problems

    assert [problem.object.name for problem in found] == ["out"]
    assert isinstance(found[0], Problem)


@pytest.mark.parametrize(
    ("target", "protocol", "host", "address", "port", "path"),
    [
        ("http://a.test", Protocol.HTTP, "a.test", None, 80, "/"),
        ("http://a.test:8080/x?y=1", Protocol.HTTP, "a.test", None, 8080, "/x?y=1"),
        ("https://a.test/x", Protocol.HTTPS, "a.test", None, 443, "/x"),
        ("https://10.0.0.1", Protocol.HTTPS, "", "10.0.0.1", 443, "/"),
        ("http://10.0.0.1/", Protocol.HTTP, "10.0.0.1", "10.0.0.1", 80, "/"),
        ("a.test:22", Protocol.TCP, "a.test", None, 22, "/"),
        ("10.0.0.1:22", Protocol.TCP, "10.0.0.1", "10.0.0.1", 22, "/"),
    ],
)
def test_targets_are_read(
    *, target: str, protocol: Protocol, host: str, address: str | None, port: int, path: str
) -> None:
    read = parse_attempt(target)

    assert (read.protocol, read.host, read.address) == (protocol, host, address)
    assert (read.port, read.path) == (port, path)


@pytest.mark.parametrize("target", ["", "a.test", "ftp://a.test", "http://", "http://a:x/", ":80"])
def test_what_is_no_target_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_attempt(target)


hosts = st.sampled_from(("a.test", "b.a.test", "10.1.2.3", "x-1.example.com"))
paths = st.text("abc/.*+?()[]{}|^$~%-_\\", max_size=12).map(lambda text: f"/{text}")


@given(
    protocol=st.sampled_from((Protocol.HTTP, Protocol.HTTPS, Protocol.TCP)),
    host=hosts,
    path=paths,
    method=st.sampled_from(("GET", "POST")),
    port=st.integers(1, 65535).filter(lambda number: number != 15001),
)
def test_what_is_suggested_allows_the_attempt(
    protocol: Protocol, host: str, path: str, method: str, port: int
) -> None:
    said = "" if protocol is Protocol.HTTPS and host[0].isdigit() else host
    attempt = Attempt("10.1.2.3", port, protocol, host=said, method=method, path=path)
    written = suggestion(DEFAULT, attempt)
    decoded = [decode(raw, "suggested") for raw in yaml.safe_load_all(written)]

    assert all(found.value is not None and not found.problems for found in decoded), written
    mesh = _mesh(*(found.value for found in decoded if found.value))
    assert explain(mesh, DEFAULT, attempt, ()).decision.allowed, written


def test_nothing_is_suggested_for_bytes_to_an_unknown_address() -> None:
    assert suggestion(DEFAULT, parse_attempt("a.test:22")) == ""
