"""Explain inside the mesh: where policies alone let in, what the called pods' sidecars say."""

from __future__ import annotations

import pytest

from support.objects import (
    egress,
    endpoint_slice,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    tcp_route,
    traffic_split,
    traffic_target,
)
from towpath.answers.explain import Explanation, explain, parse_attempt
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol
from towpath.planning import problems

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
TARGET = (traffic_target(), route_group("get", "/get", methods=("GET",)))


def _mesh(
    *objects: Object,
    protocol: Protocol = Protocol.HTTP,
    permissive: bool = False,
    through: bool = False,
) -> Mesh:
    return mesh_of(
        namespace(),
        mesh_config(permissive=permissive, egress=through, policies=True),
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
    return explain(mesh, account, parse_attempt(target, method=method), problems(mesh))


def test_what_a_target_grants_is_allowed_and_the_target_is_named() -> None:
    decision = _explain(_mesh(*TARGET)).decision

    assert decision.allowed
    assert "TrafficTarget shop/may" in decision.reasons[-2]


@pytest.mark.parametrize(
    ("target", "method"), [("http://web.shop/x", "GET"), ("http://web.shop/get", "PUT")]
)
def test_another_request_is_denied_and_no_egress_policy_is_suggested(
    target: str, method: str
) -> None:
    answer = _explain(_mesh(*TARGET), target, method=method)

    assert not answer.decision.allowed
    assert "no TrafficTarget lets shop/curl call pods of shop/web" in answer.decision.reasons[-1]
    assert "" == answer.suggestion


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("objects", [(), (egress(sources=(OTHER,), ranges=("10.0.0.0/8",)),)])
def test_another_account_is_denied_whatever_else_lets_it_out(
    objects: tuple[Object, ...], *, through: bool
) -> None:
    answer = _explain(_mesh(*TARGET, *objects, through=through), account=OTHER)

    assert not answer.decision.allowed
    assert "is in the mesh, and no TrafficTarget lets shop/other" in answer.decision.reasons[-1]
    assert "" == answer.suggestion


def test_in_permissive_mode_targets_decide_nothing() -> None:
    mesh = _mesh(*TARGET, permissive=True)

    assert _explain(mesh, "http://web.shop/x", account=OTHER).decision.allowed


def test_bytes_are_granted_by_port() -> None:
    rule = RouteReference(Kind.TCP_ROUTE, "ports")

    def answer(number: int) -> bool:
        mesh = _mesh(traffic_target("may", rule), tcp_route("ports", number), protocol=Protocol.TCP)
        return _explain(mesh, "web.shop:80").decision.allowed

    assert [True, False] == [answer(8080), answer(8081)]


def test_a_connection_of_which_no_request_is_known_is_asked_for_one() -> None:
    with pytest.raises(ValueError, match="depends on the request"):
        _explain(_mesh(*TARGET), "web.shop:80")


def test_where_pods_of_two_accounts_answer_both_are_named() -> None:
    both = endpoint_slice("web", "10.0.0.4", name="web-2")
    mesh = _mesh(*TARGET, both, pod("web-2", account="old", addresses=("10.0.0.4",)))

    with pytest.raises(ValueError, match="those of shop/web let it in, those of shop/old do not"):
        _explain(mesh)


def test_behind_a_split_the_backends_are_asked() -> None:
    objects = (
        *TARGET,
        traffic_split("split", ("v1", 100)),
        service("v1", port(80, Protocol.HTTP), ips=("10.96.0.2",)),
        endpoint_slice("v1", "10.0.0.5"),
        pod("v1-1", account="v1", app="v1", addresses=("10.0.0.5",)),
    )
    to_v1 = traffic_target("to-v1", destination="v1")

    assert not _explain(_mesh(*objects)).decision.allowed
    assert _explain(_mesh(*objects, to_v1)).decision.allowed


@pytest.mark.parametrize("permissive", [False, True])
def test_a_split_without_a_backend_lets_nothing_through(permissive: bool) -> None:  # noqa: FBT001
    mesh = _mesh(*TARGET, traffic_split("split", ("gone", 1)), permissive=permissive)
    decision = _explain(mesh).decision

    assert not decision.allowed
    assert "TrafficSplit shop/split leaves none of its backends" == decision.reasons[-1]
