"""Pods in the network of their node have no sidecar: nothing is enforced where they are called."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from support.marked import marked_pod, with_authority
from support.objects import (
    endpoint_slice,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    traffic_target,
)
from support.suggestions import explain_and_apply
from towpath.answers.access_from_outside import Outsider, entrances, let_in
from towpath.answers.access_inside import inside
from towpath.answers.explain import Explanation, parse_attempt
from towpath.answers.explain_address import explain_address
from towpath.answers.foreseen import foreseen
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol

CURL, NODE = Account("shop", "curl"), "192.0.2.9"
TARGET = (traffic_target(), route_group("get", "/get", methods=("GET",)))
UNGUARDED = (
    "nothing is enforced at pods of shop/web in the network of their node (hostNetwork): they have "
    "no sidecar, and are open to everybody who reaches them"
)


def _mesh(
    *objects: Object,
    permissive: bool = False,
    asks: bool = False,
    marked: bool = False,
    protocol: Protocol = Protocol.HTTP,
) -> Mesh:
    switches = mesh_config(permissive=permissive, ingress=True)
    web = marked_pod("web-1", account="web", addresses=(NODE,), marked=marked)
    mesh = mesh_of(
        namespace(),
        replace(switches, external_authorization=asks),
        service("web", port(80, protocol)),
        endpoint_slice("web", NODE),
        replace(web, host_network=True),
        replace(pod("logs", account="logs", app="logs", addresses=(NODE,)), host_network=True),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        *objects,
    )
    return with_authority(mesh)


def _explain(mesh: Mesh, target: str = "http://web.shop/x") -> Explanation:
    return explain_and_apply(mesh, CURL, parse_attempt(target), ())


@pytest.mark.parametrize("target", ["http://web.shop/x", "web.shop:80"])
def test_what_no_target_grants_is_let_in_all_the_same(target: str) -> None:
    decision = _explain(_mesh(*TARGET), target).decision

    assert decision.allowed
    assert UNGUARDED in decision.reasons
    assert not [one for one in decision.reasons if "let it in by" in one]


@pytest.mark.parametrize("asks", [True, False])
def test_it_is_said_where_everybody_is_let_in_and_where_nobody_is(*, asks: bool) -> None:
    decision = _explain(_mesh(*TARGET, permissive=True, asks=asks)).decision

    assert decision.allowed
    assert UNGUARDED in decision.reasons
    assert not [one for one in decision.reasons if "without permissive mode" in one]


def test_a_pod_beside_it_that_has_a_sidecar_refuses_all_the_same() -> None:
    beside = endpoint_slice("web", NODE, "10.0.0.1")
    guarded = pod("web-2", account="other", addresses=("10.0.0.1",))
    both = traffic_target("both", destination="other")
    answer = _explain(_mesh(*TARGET, both, beside, guarded))

    assert not answer.decision.allowed
    assert UNGUARDED in answer.decision.reasons
    assert "no TrafficTarget lets shop/curl call pods of shop/other with this" in (
        answer.decision.reasons
    )
    assert answer.suggestion


def test_a_caller_whom_no_target_knows_is_refused_by_its_own_sidecar() -> None:
    answer = _explain(_mesh())

    assert not answer.decision.allowed
    assert f"{UNGUARDED}; the sidecars of shop/curl refuse it themselves" in answer.decision.reasons
    assert answer.suggestion


def test_a_pod_with_the_mark_was_given_a_sidecar_by_hand() -> None:
    decision = _explain(_mesh(*TARGET, marked=True)).decision

    assert not decision.allowed
    assert UNGUARDED not in decision.reasons


@pytest.mark.parametrize("target", ["http://web.shop/x", f"http://{NODE}:8080/x", f"{NODE}:9100"])
def test_it_is_open_to_an_address_too(target: str) -> None:
    attempt = parse_attempt(target)
    decision = explain_address(_mesh(), IPv4Address("192.0.2.7"), attempt, ()).decision

    assert decision.allowed
    assert UNGUARDED in decision.reasons


def test_a_diff_says_that_it_may_be_asked_anything() -> None:
    mesh = _mesh(*TARGET, ingress_backend(ranges=("192.0.2.0/24",)))
    (callable_,) = inside(mesh, CURL)
    comes_in = let_in(mesh, tuple(entrances(mesh)))

    assert ["shop/web"] == [callable_.service]
    assert [".*"] == [match.path for match, _ in callable_.access.requests]
    assert [{Outsider("0.0.0.0/0"): frozenset()}] == [*comes_in.values()]


def test_no_refusal_is_foreseen_there() -> None:
    web = _mesh(*TARGET, permissive=True, protocol=Protocol.TCP)

    assert () == foreseen(web, 10)
