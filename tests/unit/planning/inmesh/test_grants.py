"""TrafficTargets: what each grants, and that nothing of two is mixed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.objects import (
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
from towpath.model.codes import Reason
from towpath.model.egress import HTTPRouteGroup, RequestMatch
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol, SidecarId
from towpath.model.plan import Permit
from towpath.planning import inbound, outbound, problems

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
GET = RouteReference(Kind.HTTP_ROUTE_GROUP, "get")
PORTS = RouteReference(Kind.TCP_ROUTE, "ports")
WEB = SidecarId("web-1", "shop")
A, B = RequestMatch("/a"), RequestMatch("/b")


def _mesh(*objects: Object, protocol: Protocol = Protocol.HTTP, permissive: bool = False) -> Mesh:
    """`web` on 8080, `curl` at 10.0.0.2 and `other` at 10.0.0.3."""
    return mesh_of(
        namespace(),
        mesh_config(permissive=permissive),
        service("web", port(80, protocol)),
        pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        pod("other", account="other", app="other", addresses=("10.0.0.3",)),
        *objects,
    )


def _permits(mesh: Mesh) -> tuple[Permit, ...] | None:
    record = mesh.pod(WEB)
    assert record is not None
    [one] = mesh.query(inbound, record).ports
    return one.permits


def _granted(mesh: Mesh) -> list[tuple[str, tuple[str, ...], tuple[RequestMatch, ...]]]:
    return [(one.policy, one.addresses, one.requests) for one in _permits(mesh) or ()]


def test_a_target_grants_its_sources_its_requests() -> None:
    mesh = _mesh(traffic_target("t", sources=(CURL, OTHER)), route_group("get", "/b", "/a"))

    assert [("shop/t", ("10.0.0.2", "10.0.0.3"), (A, B))] == _granted(mesh)


def test_without_a_target_nothing_is_granted_and_in_permissive_mode_everything() -> None:
    assert () == _permits(_mesh())
    assert _permits(_mesh(permissive=True)) is None


def _shadow(mesh: Mesh) -> tuple[Permit, ...] | None:
    record = mesh.pod(WEB)
    assert record is not None
    [one] = mesh.query(inbound, record).ports
    return one.shadow


def test_in_permissive_mode_what_targets_grant_is_counted() -> None:
    objects = (traffic_target("t"), route_group("get", "/a"))
    mesh = _mesh(*objects, permissive=True)

    assert _permits(mesh) is None
    assert _permits(_mesh(*objects)) == _shadow(mesh)
    assert _shadow(_mesh(*objects)) is None


def test_a_pod_without_a_target_counts_all_as_soon_as_there_is_one_in_the_mesh() -> None:
    other = traffic_target("t", destination="other")

    assert () == _shadow(_mesh(other, permissive=True))


@pytest.mark.parametrize(
    ("objects", "protocol"),
    [
        ((), Protocol.HTTP),
        ((traffic_target("t", in_namespace="bank"),), Protocol.HTTP),
        ((traffic_target("t"), route_group("get")), Protocol.TCP),
    ],
)
def test_without_a_target_and_on_ports_of_bytes_nothing_is_counted(
    objects: tuple[Object, ...], protocol: Protocol
) -> None:
    assert _shadow(_mesh(*objects, protocol=protocol, permissive=True)) is None


def test_counting_can_be_switched_off() -> None:
    mesh = _mesh(traffic_target("t"), route_group("get"), permissive=True)

    assert _shadow(replace(mesh, shadow_targets=False)) is None


def test_names_of_matches_choose_among_them() -> None:
    group = HTTPRouteGroup("shop", "get", (A, B), ("a", "b"))
    rule = replace(GET, matches=("b", "gone"))
    target = traffic_target("t", rule)
    mesh = _mesh(target, group)

    assert [("shop/t", ("10.0.0.2",), (B,))] == _granted(mesh)
    assert [Reason.MISSING] == [p.reason for p in problems(mesh) if p.object == target.ref]


@pytest.mark.parametrize(
    "rules",
    [
        (GET,),
        (replace(GET, matches=("gone",)),),
        (PORTS,),
        (PORTS, RouteReference(Kind.HTTP_ROUTE_GROUP, "there")),
    ],
)
def test_what_is_missing_grants_nothing_and_leaves_its_neighbours_alone(
    rules: tuple[RouteReference, ...],
) -> None:
    there = RouteReference(Kind.HTTP_ROUTE_GROUP, "there")
    beside = traffic_target("u", there, sources=(OTHER,))
    mesh = _mesh(traffic_target("t", *rules), beside, route_group("there", "/a"))

    assert [("shop/u", ("10.0.0.3",), (A,))] == _granted(mesh)


def test_ports_and_requests_of_two_targets_are_not_mixed() -> None:
    first = traffic_target("t", GET, PORTS)
    second = traffic_target(
        "u", RouteReference(Kind.HTTP_ROUTE_GROUP, "b"), RouteReference(Kind.TCP_ROUTE, "p")
    )
    groups = (route_group("get", "/a"), route_group("b", "/b"))
    mesh = _mesh(first, second, *groups, tcp_route("ports", 8080), tcp_route("p", 9090))

    assert [("shop/t", ("10.0.0.2",), (A,))] == _granted(mesh)


@pytest.mark.parametrize(
    ("protocol", "rules", "granted"),
    [
        (Protocol.TCP, (GET,), False),
        (Protocol.TCP, (PORTS,), True),
        (Protocol.TCP, (GET, PORTS), True),
        (Protocol.HTTPS, (PORTS,), True),
        (Protocol.TCP_SERVER_FIRST, (GET,), False),
        (Protocol.HTTP, (PORTS,), False),
        (Protocol.HTTP, (GET, PORTS), True),
    ],
)
def test_a_group_opens_no_bytes_and_a_route_of_ports_no_requests(
    protocol: Protocol, rules: tuple[RouteReference, ...], *, granted: bool
) -> None:
    objects = (traffic_target("t", *rules), route_group("get"), tcp_route("ports", 8080))

    assert granted == bool(_permits(_mesh(*objects, protocol=protocol)))


def test_without_a_rule_not_even_bytes_are_granted() -> None:
    target = replace(traffic_target("t"), rules=())

    assert () == _permits(_mesh(target, protocol=Protocol.TCP))


def test_beside_a_group_bytes_are_granted_on_ports_that_a_route_names() -> None:
    rules = (GET, PORTS, RouteReference(Kind.TCP_ROUTE, "every"))
    objects = (traffic_target("t", *rules), route_group("get"), tcp_route("every"))
    granted = [
        _granted(_mesh(*objects, tcp_route("ports", number), protocol=Protocol.TCP))
        for number in (8080, 9090)
    ]

    assert [[("shop/t", ("10.0.0.2",), ())], []] == granted


def test_a_route_without_ports_is_for_all_of_them_but_opens_no_bytes_beside_a_group() -> None:
    alone = _mesh(traffic_target("t", PORTS), tcp_route("ports"), protocol=Protocol.TCP)
    objects = (traffic_target("t", GET, PORTS), route_group("get"), tcp_route("ports"))

    assert [("shop/t", ("10.0.0.2",), ())] == _granted(alone)
    assert () == _permits(_mesh(*objects, protocol=Protocol.TCP))


@pytest.mark.parametrize(
    "objects",
    [
        (traffic_target("t", closed=True),),
        (traffic_target("t", sources=()),),
        (traffic_target("t", sources=(Account("bank", "curl"),)),),
        (traffic_target("t", destination="other"),),
        (traffic_target("t", in_namespace="bank"), namespace("bank", mesh=None)),
        (traffic_target("t", sources=(Account("shop", "gone"),)),),
    ],
)
def test_who_is_nobody_and_what_cannot_be_read_grants_nothing(objects: tuple[Object, ...]) -> None:
    assert () == _permits(_mesh(*objects, route_group("get")))


@pytest.mark.parametrize(
    "stranger",
    [
        pod("x", account="other", app="x", addresses=("10.0.0.2",)),
        replace(pod("x", account="curl", app="x", addresses=("10.0.0.2",)), host_network=True),
    ],
)
def test_an_address_of_two_accounts_or_of_a_node_is_told_for_nobody(stranger: Object) -> None:
    assert () == _permits(_mesh(traffic_target("t"), route_group("get"), stranger))


@pytest.mark.parametrize(
    ("rule", "protocol", "said"),
    [
        (GET, Protocol.TCP, ["nothing is granted on the ports of shop/web, which are 8080 (tcp)"]),
        (
            PORTS,
            Protocol.HTTP,
            ["nothing is granted on the ports of shop/web, which are 8080 (http)"],
        ),
        (GET, Protocol.HTTP, []),
        (PORTS, Protocol.TCP, []),
    ],
)
def test_a_target_that_grants_nothing_on_any_port_is_told(
    rule: RouteReference, protocol: Protocol, said: list[str]
) -> None:
    target = traffic_target("t", rule)
    mesh = _mesh(target, route_group("get"), tcp_route("ports", 8080), protocol=protocol)

    problems_of_target = [one for one in problems(mesh) if one.object == target.ref]
    assert said == [one.message for one in problems_of_target]


def test_the_order_of_objects_does_not_matter() -> None:
    objects = (traffic_target("a"), traffic_target("b", sources=(OTHER,)), route_group("get"))

    assert _permits(_mesh(*objects)) == _permits(_mesh(*objects[::-1]))


def test_a_client_knows_the_services_before_pods_that_it_may_call() -> None:
    stranger = service("else", port(80), ips=("10.96.0.9",), selector={"app": "other"})
    mesh = _mesh(traffic_target("t"), route_group("get"), stranger)
    names = {
        account: {one.name for one in mesh.query(outbound, account).destinations}
        for account in (CURL, OTHER)
    }

    assert {CURL: {"shop/web|80"}, OTHER: set()} == names


def test_a_root_is_known_to_whom_may_call_a_backend() -> None:
    root = service("root", port(80), ips=("10.96.0.8",), selector={})
    other = service("else", port(80), ips=("10.96.0.9",), selector={"app": "other"})
    split = traffic_split("s", ("web", 1), ("else", 1), root="root")
    mesh = _mesh(traffic_target("t"), route_group("get"), root, other, split)
    reachable = mesh.query(outbound, CURL).destinations

    assert {"shop/root|80": 1, "shop/web|80": 1, "shop/else|80": 0} == {
        one.name: len(one.addresses) for one in reachable
    }


def test_in_permissive_mode_a_target_is_said_to_have_no_effect() -> None:
    target = traffic_target("t")
    mesh = _mesh(target, route_group("get"), permissive=True)

    assert [Reason.NOT_ENABLED] == [p.reason for p in problems(mesh) if p.object == target.ref]
