"""Explain inside the mesh: where policies alone let in, what the called pods' sidecars say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from support.marked import marked_pod, with_authority
from support.objects import (
    egress,
    endpoint_slice,
    headless,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from support.suggestions import explain_and_apply
from towpath.answers.access_change import Comparison, Direction, account_access
from towpath.answers.explain import Explanation, parse_attempt
from towpath.model.identity import MtlsMode
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol, SidecarId
from towpath.planning import inbound, problems

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
TARGET = (traffic_target(), route_group("get", "/get", methods=("GET",)))


def _mesh(
    *objects: Object,
    protocol: Protocol = Protocol.HTTP,
    permissive: bool = False,
    through: bool = False,
    ingress: bool = False,
) -> Mesh:
    return mesh_of(
        namespace(),
        mesh_config(permissive=permissive, egress=through, policies=True, ingress=ingress),
        service("web", port(80, protocol)),
        endpoint_slice("web", "10.0.0.1"),
        pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        pod("other", account="other", app="other", addresses=("10.0.0.3",)),
        *objects,
    )


def _explain(
    mesh: Mesh, target: str = "http://web.shop/get", *, account: Account = CURL, method: str = "GET"
) -> Explanation:
    attempt = parse_attempt(target, method=method)
    return explain_and_apply(mesh, account, attempt, problems(mesh))


def test_what_a_target_grants_is_allowed_and_the_target_is_named() -> None:
    decision = _explain(_mesh(*TARGET)).decision

    assert decision.allowed
    assert "TrafficTarget shop/may" in decision.reasons[-2]


@pytest.mark.parametrize(
    ("target", "method"), [("http://web.shop/x", "GET"), ("http://web.shop/get", "PUT")]
)
def test_another_request_is_denied_and_what_is_allowed_is_said(target: str, method: str) -> None:
    *_, what, why, grant = _explain(_mesh(*TARGET), target, method=method).decision.reasons

    assert "10.96.0.1:80 is Service shop/web, an in-mesh destination" == what
    assert "no TrafficTarget lets shop/curl call pods of shop/web with this" == why
    assert "TrafficTarget shop/may allows it on port 8080 of shop/web: GET /get" == grant


def _suggested(answer: Explanation) -> list[dict[str, Any]]:
    """What is suggested: it has been applied, and does help."""
    return list(yaml.safe_load_all(answer.suggestion))


def test_the_smallest_target_for_a_request_is_suggested() -> None:
    answer = _explain(_mesh(*TARGET), "http://web.shop/a.b?c=d", method="PUT")
    target, group = _suggested(answer)

    name = target["metadata"]["name"]
    assert {"name": name, "namespace": "shop"} == target["metadata"] == group["metadata"]
    account = {"kind": "ServiceAccount", "namespace": "shop"}
    assert {
        "destination": {**account, "name": "web"},
        "sources": [{**account, "name": "curl"}],
        "rules": [{"kind": "HTTPRouteGroup", "name": name}],
    } == target["spec"]
    match = {"name": "request", "pathRegex": r"/a\.b", "methods": ["PUT"]}
    assert [match] == group["spec"]["matches"]


def test_for_bytes_the_port_of_the_pod_is_suggested() -> None:
    target, route = _suggested(_explain(_mesh(protocol=Protocol.TCP), "web.shop:80"))

    assert [{"kind": "TCPRoute", "name": route["metadata"]["name"]}] == target["spec"]["rules"]
    assert {"ports": [8080]} == route["spec"]["matches"]


@pytest.mark.parametrize(
    ("path", "method"), [("/a/../b", "GET"), ("/" + "a" * 500, "GET"), ("/x", "PROPFIND")]
)
def test_what_a_rule_cannot_say_exactly_is_allowed_by_a_wider_one(path: str, method: str) -> None:
    assert _explain(_mesh(), f"http://web.shop{path}", method=method).suggestion


@pytest.mark.parametrize(
    "objects",
    [
        (pod("x", account="other", app="x", addresses=("10.0.0.2",)),),
        (service("web", port(80), selector={"app": "other"}),),
    ],
)
def test_nothing_is_suggested_that_would_not_help(objects: tuple[Object, ...]) -> None:
    assert "" == _explain(_mesh(*objects)).suggestion


def test_a_target_that_cannot_tell_its_source_is_said_to_be_of_no_use() -> None:
    stranger = pod("x", account="other", app="x", addresses=("10.0.0.2",))
    other = traffic_target("to-other", sources=(OTHER,))
    answer = _explain(_mesh(*TARGET, stranger, other))

    assert not answer.decision.allowed
    assert "TrafficTarget shop/may cannot tell its pods" in answer.decision.reasons[-1]


def test_problems_of_the_targets_that_speak_for_the_caller_are_shown() -> None:
    target = traffic_target("may", RouteReference(Kind.HTTP_ROUTE_GROUP, "gone"))
    other = traffic_target("other", RouteReference(Kind.HTTP_ROUTE_GROUP, "gone"), sources=(OTHER,))
    answer = _explain(_mesh(target, other))

    assert ["TrafficTarget shop/may"] == [str(problem.object) for problem in answer.problems]


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("objects", [(), (egress(sources=(OTHER,), ranges=("10.0.0.0/8",)),)])
def test_another_account_is_denied_whatever_else_lets_it_out(
    objects: tuple[Object, ...], *, through: bool
) -> None:
    answer = _explain(_mesh(*TARGET, *objects, through=through), account=OTHER)

    assert not answer.decision.allowed
    assert "is in the mesh, and no TrafficTarget lets shop/other" in answer.decision.reasons[-1]
    assert ["TrafficTarget", "HTTPRouteGroup"] == [one["kind"] for one in _suggested(answer)]


def test_in_permissive_mode_targets_decide_nothing() -> None:
    mesh = _mesh(*TARGET, permissive=True)

    assert _explain(mesh, "http://web.shop/x", account=OTHER).decision.allowed


def test_in_permissive_mode_it_is_said_what_targets_would_do() -> None:
    old = (
        endpoint_slice("web", "10.0.0.4", name="web-2"),
        pod("web-2", account="old", addresses=("10.0.0.4",)),
    )
    mesh = _mesh(*TARGET, *old, permissive=True)
    reasons = {
        (account.name, path): _explain(mesh, f"http://web.shop{path}", account=account)
        for account in (CURL, OTHER)
        for path in ("/get", "/x")
    }
    would = {
        key: [line for line in one.decision.reasons if line.startswith("without permissive")]
        for key, one in reasons.items()
    }

    refuse = "without permissive mode the pods of {} would refuse it"
    assert {
        ("curl", "/get"): ["without permissive mode it would be let in by TrafficTarget shop/may"],
        ("curl", "/x"): [refuse.format("shop/web")],
        ("other", "/get"): [refuse.format("shop/old, shop/web")],
        ("other", "/x"): [refuse.format("shop/old, shop/web")],
    } == would
    assert all(one.decision.allowed for one in reasons.values())


def test_bytes_are_granted_by_port() -> None:
    rule = RouteReference(Kind.TCP_ROUTE, "ports")

    def answer(number: int) -> bool:
        mesh = _mesh(traffic_target("may", rule), tcp_route("ports", number), protocol=Protocol.TCP)
        return _explain(mesh, "web.shop:80").decision.allowed

    assert [True, False] == [answer(8080), answer(8081)]


def test_a_connection_of_which_no_request_is_known_is_asked_for_one() -> None:
    with pytest.raises(ValueError, match="depends on the request"):
        _explain(_mesh(*TARGET), "web.shop:80")


def test_where_pods_of_two_accounts_answer_both_are_named_and_the_other_is_suggested() -> None:
    both = endpoint_slice("web", "10.0.0.4", name="web-2")
    old = pod("web-2", account="old", addresses=("10.0.0.4",))
    less = RouteReference(Kind.HTTP_ROUTE_GROUP, "less")
    may = traffic_target("less", less, destination="old")
    answer = _explain(_mesh(*TARGET, both, old, may, route_group("less", "/x", methods=("GET",))))

    assert not answer.decision.allowed
    assert (
        "the pods of shop/web let it in by TrafficTarget shop/may",
        "no TrafficTarget lets shop/curl call pods of shop/old with this",
        "TrafficTarget shop/less allows it on port 8080 of shop/old: GET /x",
    ) == answer.decision.reasons[1:]
    assert "old" == _suggested(answer)[0]["spec"]["destination"]["name"]


def test_pods_of_an_account_that_grants_nothing_are_not_called() -> None:
    both = endpoint_slice("web", "10.0.0.4", name="web-2")
    mesh = _mesh(*TARGET, both, pod("web-2", account="old", addresses=("10.0.0.4",)))
    refused = _explain(mesh, "http://web.shop/x")

    assert _explain(mesh).decision.allowed
    assert ["web"] == [
        one["spec"]["destination"]["name"]
        for one in _suggested(refused)
        if one["kind"] == "TrafficTarget"
    ]


@pytest.mark.parametrize("targets", [(), TARGET])
def test_who_is_let_in_from_outside_is_said_beside_a_denial(targets: tuple[Object, ...]) -> None:
    """Whether the caller's own sidecar refuses, or the called pod's."""
    outside = ingress_backend(ranges=("192.0.2.0/24",))
    answer = _explain(_mesh(*targets, outside, ingress=True), "http://web.shop/x")
    off = _explain(_mesh(*targets, outside), "http://web.shop/x")

    assert not answer.decision.allowed
    assert (
        "IngressBackend shop/outside lets others in on port 8080: in plaintext from 192.0.2.0/24"
        in answer.decision.reasons
    )
    assert not any("IngressBackend" in reason for reason in off.decision.reasons)


def test_whom_an_ingress_backend_lets_in_is_allowed_and_it_is_named() -> None:
    """By the address of the caller's pods, at what its own sidecar lets it call."""
    outside = ingress_backend(ranges=("10.0.0.0/30",))
    mesh = _mesh(*TARGET, outside, ingress=True)
    answer = _explain(mesh, "http://web.shop/x")
    other = _explain(mesh, "http://web.shop/x", account=OTHER)

    assert answer.decision.allowed
    assert "the called pods let it in by IngressBackend shop/outside" in answer.decision.reasons
    assert not other.decision.allowed


@pytest.mark.parametrize("marked", [True, False])
def test_by_mutual_tls_the_certificate_tells_a_pod_in_the_network_of_its_node(
    *, marked: bool
) -> None:
    """In plaintext nobody can tell it, and nothing would help."""
    on_node = replace(
        marked_pod("curl", account="curl", app="curl", addresses=("10.0.0.9",), marked=marked),
        host_network=True,
    )
    web = marked_pod("web-1", account="web", addresses=("10.0.0.1",))
    mesh = with_authority(_mesh(*TARGET, web, on_node))
    called_pod = mesh.pod(SidecarId(pod="web-1", namespace="shop"))
    assert called_pod is not None
    (port_,) = mesh.query(inbound, called_pod).ports

    assert marked == _explain(mesh).decision.allowed
    assert [((), ("spiffe://cluster.local/ns/shop/sa/curl",))] == [
        (one.addresses, one.names) for one in port_.permits or ()
    ]


@pytest.mark.parametrize(
    ("path", "method", "target", "backend"),
    [
        ("/preview/.*", "GET", "http://web.shop/preview/a", "v1"),
        ("/preview/.*", "GET", "http://web.shop/preview/../a", "v1"),  # as a sidecar matches it
        ("/preview/.*", "CONNECT", "http://web.shop/", "web"),
        (".*", "CONNECT", "http://web.shop/", "v1"),
    ],
)
def test_a_split_divides_requests_as_they_are_sent(
    path: str, method: str, target: str, backend: str
) -> None:
    mesh = _mesh(
        service("v1", port(80, Protocol.HTTP), ips=("10.96.0.2",)),
        traffic_split("split", ("v1", 1), route_groups=["some"]),
        route_group("some", path),
        permissive=True,
    )
    decision = _explain(mesh, target, method=method).decision
    divided = [one for one in decision.reasons if "divides it" in one]

    assert ("v1" in divided[0] if divided else False) == (backend == "v1")


def test_behind_a_split_the_backends_are_asked() -> None:
    objects = (
        *TARGET,
        traffic_split("split", ("v1", 100)),
        service("v1", port(80, Protocol.HTTP), ips=("10.96.0.2",)),
        endpoint_slice("v1", "10.0.0.5"),
        pod("v1-1", account="v1", app="v1", addresses=("10.0.0.5",)),
    )
    to_v1 = traffic_target("to-v1", destination="v1")
    share = "TrafficSplit shop/split divides it: 100 % to Service shop/v1"

    assert f"{share} (refused)" == _explain(_mesh(*objects)).decision.reasons[-1]
    assert f"{share} (let in)" in _explain(_mesh(*objects, to_v1)).decision.reasons
    assert share in _explain(_mesh(*objects, permissive=True)).decision.reasons
    assert not _explain(_mesh(*objects)).decision.allowed
    assert _explain(_mesh(*objects, to_v1)).decision.allowed


def test_which_backend_gets_which_share_and_refuses_it_is_said() -> None:
    split = traffic_split("split", ("v1", 9), ("web", 1), ("gone", 5))
    v1 = service("v1", port(80, Protocol.HTTP), ips=("10.96.0.2",), selector={"app": "v1"})
    pods = endpoint_slice("v1", "10.0.0.5"), pod("v1-1", account="v1", addresses=("10.0.0.5",))
    decision = _explain(_mesh(*TARGET, split, v1, *pods)).decision
    odd = traffic_split("split", ("v1", 2), ("web", 1))

    shares = "90 % to Service shop/v1 (refused), 10 % to Service shop/web (let in)"
    assert not decision.allowed
    assert f"TrafficSplit shop/split divides it: {shares}" in decision.reasons
    reasons = _explain(_mesh(odd, v1, *pods, permissive=True)).decision.reasons
    assert any("66.7 % to Service shop/v1, 33.3 % to Service" in reason for reason in reasons)


@pytest.mark.parametrize("permissive", [False, True])
def test_a_split_without_a_backend_lets_nothing_through(permissive: bool) -> None:  # noqa: FBT001
    mesh = _mesh(*TARGET, traffic_split("split", ("gone", 1)), permissive=permissive)
    decision = _explain(mesh).decision

    assert not decision.allowed
    assert "TrafficSplit shop/split leaves none of its backends" == decision.reasons[-1]


def test_behind_a_headless_service_the_pods_are_asked_on_the_port_that_is_dialled() -> None:
    """Of theirs, which may be another than the Service's own."""
    db = (
        headless("db", port(80, Protocol.HTTP, target=8080)),
        endpoint_slice("db", "10.0.0.6"),
        pod("db-1", account="web", app="db", addresses=("10.0.0.6",)),
    )
    mesh = _mesh(*TARGET, *db)
    granted = _explain(mesh, "http://db.shop:8080/get")
    refused = _explain(mesh, "http://db.shop:8080/x")
    stranger = _explain(mesh, "http://db.shop:8080/get", account=OTHER)

    assert granted.decision.allowed
    assert "TrafficTarget shop/may" in granted.decision.reasons[1]
    for answer in (refused, stranger):
        assert not answer.decision.allowed
        assert ["TrafficTarget", "HTTPRouteGroup"] == [one["kind"] for one in _suggested(answer)]


@pytest.mark.parametrize("marked", [True, False])
def test_a_target_is_suggested_for_a_pod_on_its_node_if_a_certificate_tells_it(
    *, marked: bool
) -> None:
    on_node = replace(
        marked_pod("curl", account="curl", app="curl", addresses=("10.0.0.9",), marked=marked),
        host_network=True,
    )
    web = marked_pod("web-1", account="web", addresses=("10.0.0.1",))
    answer = _explain(with_authority(_mesh(web, on_node)))
    why = [one for one in answer.decision.reasons if "in the network of their node" in one]

    assert not answer.decision.allowed
    assert (marked, not marked) == (bool(answer.suggestion), bool(why))


CLOSED = "nothing is let in on port 8080 of the pods of shop/web"


@pytest.mark.parametrize("permissive", [True, False])
def test_a_port_that_a_limit_closes_is_denied_for_that(*, permissive: bool) -> None:
    mesh = _mesh(*TARGET, setting(service="web", closed=True), permissive=permissive)
    decision = _explain(mesh).decision

    assert not decision.allowed
    assert decision.reasons[-1].startswith(CLOSED)


@pytest.mark.parametrize(("target", "allowed"), [(8080, True), (9999, False)])
def test_a_service_that_selects_no_pods_leads_only_where_others_do(
    target: int, *, allowed: bool
) -> None:
    manual = service("man", ips=["10.96.0.9"], selector={})
    slice_ = endpoint_slice("man", "10.0.0.1", ports={"": target})
    decision = _explain(_mesh(manual, slice_, permissive=True), "http://man.shop/").decision

    assert allowed == decision.allowed


def test_diff_says_who_loses_access_to_what_takes_mutual_tls_alone() -> None:
    objects = (
        namespace(),
        service("web"),
        endpoint_slice("web", "10.0.0.1"),
        marked_pod("web-1", account="web", addresses=("10.0.0.1",)),
        marked_pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        pod("other", account="other", app="other", addresses=("10.0.0.3",)),
    )
    before, after = (
        with_authority(mesh_of(*objects, replace(mesh_config(), mtls=mode)))
        for mode in (MtlsMode.PERMISSIVE, MtlsMode.STRICT)
    )
    comparison = Comparison(before, after)
    for one in comparison.accounts:
        comparison.add(one, account_access(before, one), account_access(after, one))
    [(change, accounts)] = comparison.changes().by_change.items()

    assert (Direction.LOSES, "shop/web", (OTHER,)) == (
        change.direction,
        change.target.service,
        accounts,
    )
    assert ("MeshConfig osm-system/osm-mesh-config",) == change.because
