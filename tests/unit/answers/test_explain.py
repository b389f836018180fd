"""Explain and suggest: the answer, the way to it, and a policy that would change it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.objects import (
    egress,
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
)
from towpath.answers.explain import explain, parse_attempt
from towpath.answers.suggest import suggestion
from towpath.model.egress import HTTPRouteGroup, RequestMatch
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
    mesh = _mesh(service(), endpoint_slice("web", "10.0.0.1"), pod(addresses=["10.0.0.1"]))

    for name in ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"):
        assert _explain(mesh, f"http://{name}/").via == "shop/web|80"


def test_passthrough_is_the_last_reason() -> None:
    decision = _explain(_mesh(through=True), "10.1.2.3:22")

    assert decision.via == "passthrough-outbound"
    assert decision.reasons[-1] == "egress passthrough is on"


def test_a_namespace_outside_the_mesh_is_said_first() -> None:
    decision = _explain(_mesh(), "http://a.test/", account=Account("else", "x"))

    assert decision.reasons[0].startswith("namespace else is not part of mesh osm; its label would")


def test_problems_of_the_accounts_policies_come_along() -> None:
    mesh = _mesh(egress(route_groups=("gone",)), egress("other", sources=(Account("shop", "y"),)))
    found = explain(mesh, DEFAULT, parse_attempt("http://httpbin.org/"), problems(mesh)).problems

    assert [problem.object.name for problem in found] == ["out"]
    assert isinstance(found[0], Problem)


@pytest.mark.parametrize(
    ("target", "protocol", "host", "address", "port", "path"),
    [
        ("http://a.test", Protocol.HTTP, "a.test", None, 80, "/"),
        ("http://a.test:8080/x?y=1", Protocol.HTTP, "a.test:8080", None, 8080, "/x?y=1"),
        ("http://u@A.test:80/", Protocol.HTTP, "A.test", None, 80, "/"),
        ("https://a.test./", Protocol.HTTPS, "a.test", None, 443, "/"),
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


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a.test",
        "ftp://a.test",
        "http://",
        "http://a:x/",
        ":80",
        "http://a.test/#b",
        "http://a.test/a b",
        "http://a.test/ü",
    ],
)
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


def _asked(
    mesh: Mesh, target: str, *, method: str = "GET", address: str | None = None, **headers: str
) -> Decision:
    attempt = parse_attempt(target, method=method, address=address, headers=tuple(headers.items()))
    return explain(mesh, DEFAULT, attempt, problems(mesh)).decision


def test_names_of_pods_and_aliases_are_found_in_the_mesh() -> None:
    mesh = _mesh(
        service(),
        headless("db", port(8080)),
        endpoint_slice("db", "10.0.0.7"),
        replace(service("alias", ips=()), external_name="web.shop.svc.cluster.local", ports=()),
        pod("db-0", app="db", addresses=("10.0.0.7",)),
    )

    for name in ("web.shop.svc.cluster.local.", "alias", "alias.shop"):
        assert _asked(mesh, f"http://{name}/").via == "shop/web|80", name
    for name in ("db", "db.shop.svc", "db-0.db.shop.svc.cluster.local", "db-0.db.shop"):
        assert _asked(mesh, f"http://{name}:8080/").via == "shop/db|8080", name
    for name in ("db-1.db.shop", "db-0.web.shop", "db-0.db"):
        assert not _asked(mesh, f"http://{name}:8080/").allowed, name


def test_what_hangs_on_the_address_is_neither_allowed_nor_denied_without_it() -> None:
    ranged = egress("ranged", (5432, Protocol.TCP), hosts=None, ranges=("10.1.0.0/16",))
    mesh = _mesh(ranged)

    said = r"^db.test:5432 depends on the address that is dialled, allowed in 10.1.0.0/16 and refus"
    with pytest.raises(ValueError, match=said):
        _asked(mesh, "db.test:5432")
    assert _asked(mesh, "db.test:5432", address="10.1.0.1").allowed
    assert not _asked(mesh, "db.test:5432", address="10.2.0.1").allowed


@pytest.mark.parametrize(
    ("target", "method", "headers", "allowed"),
    [
        ("http://httpbin.org/", "GET", {}, True),
        ("http://HTTPBIN.org./", "GET", {}, True),
        ("http://httpbin.org/", "CONNECT", {}, True),
        ("http://httpbin.org*", "OPTIONS", {}, False),
        ("http://httpbin.org/", "GET", {"Host": "other.test"}, False),
        ("http://other.test/", "GET", {"host": "httpbin.org"}, True),
        ("http://.wild.test/", "GET", {}, False),
        ("http://a.wild.test/", "GET", {}, True),
        ("http://by-host.test/", "GET", {}, True),
        ("http://BY-HOST.test/", "GET", {}, False),
        ("http://by-host.test:80/", "GET", {}, True),
        ("http://by-host.test./", "GET", {}, False),
    ],
)
def test_a_request_is_judged_as_it_is_sent(
    *, target: str, method: str, headers: dict[str, str], allowed: bool
) -> None:
    by_host = HTTPRouteGroup("shop", "host", (RequestMatch(headers=(("host", "by-host.test"),)),))
    mesh = _mesh(
        egress(hosts=("httpbin.org", "*.wild.test")),
        egress("by-host", hosts=("by-host.test",), route_groups=("host",)),
        by_host,
    )

    assert _asked(mesh, target, method=method, **headers).allowed == allowed


def test_a_policy_that_has_no_effect_is_not_said_to_be_absent() -> None:
    off = mesh_of(namespace("shop"), mesh_config(), egress())
    closed = _mesh(replace(egress(), closed=True))

    for mesh in (off, closed):
        reasons = _explain(mesh, "http://httpbin.org/get").reasons
        said = [reason for reason in reasons if reason.startswith("no policy")]
        assert said != []
        assert all(reason.startswith("no policy in effect") for reason in said)


def test_connect_to_another_port_than_the_one_that_is_dialled_is_another_host() -> None:
    attempt = Attempt("10.1.2.3", 80, Protocol.HTTP, host="httpbin.org:443", method="CONNECT")

    assert not explain(_mesh(egress()), DEFAULT, attempt, ()).decision.allowed


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ((namespace("shop"), mesh_config()), "egress policies are off"),
        ((namespace("shop"),), "egress policies are off"),
        ((namespace("shop", mesh=None), mesh_config(policies=True)), "is not part of mesh osm"),
    ],
)
def test_nothing_is_suggested_where_no_policy_would_count(
    objects: tuple[Object, ...], said: str
) -> None:
    found = explain(mesh_of(*objects), DEFAULT, parse_attempt("http://a.test/"), ())

    assert found.suggestion == ""
    assert any(said in reason for reason in found.decision.reasons)


def test_an_account_that_nobody_made_is_said_to_be_none() -> None:
    said = "there is no service account shop/nobody, and no pod that runs as it"

    for objects, expected in (((), True), ((pod("p", account="nobody"),), False)):
        mesh = _mesh(*objects)
        decision = _explain(mesh, "http://a.test/", account=Account("shop", "nobody"))
        assert (said in decision.reasons) is expected
