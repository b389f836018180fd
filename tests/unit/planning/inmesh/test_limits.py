"""What in-mesh policies may come to: what is far too large is closed, alone, and is a Problem."""

from __future__ import annotations

import pytest

from support.marked import marked_pod, with_authority
from support.objects import (
    ingress_backend,
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
from towpath.answers.effect import effect
from towpath.model.codes import Code
from towpath.model.ingress import Backend
from towpath.model.inmesh import RouteReference, TrafficTarget
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol, SidecarId
from towpath.model.workloads import ServicePort
from towpath.planning import inbound, problems
from towpath.planning.destinations import directory
from towpath.planning.inmesh.limits import CHAIN, without_room

MOST, PORTS = 2_000, 10
CURL = Account("shop", "curl")
PATHS = [f"/{n}" for n in range(MOST // PORTS)]
LARGE = traffic_target("large", RouteReference(Kind.HTTP_ROUTE_GROUP, "many"))
SMALL = traffic_target()
NAMES = ("may", "large")


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_ENTRIES", MOST)
    monkeypatch.setattr("towpath.planning.inmesh.splits.MOST_SHARES", MOST)


def _mesh(*objects: Object, protocol: Protocol = Protocol.HTTP, permissive: bool = False) -> Mesh:
    """`web` with ten ports, and targets that let `curl` call it."""
    return mesh_of(
        namespace(),
        mesh_config(permissive=permissive, ingress=True),
        service("web", *_ports(protocol)),
        marked_pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        route_group(),
        route_group("many", *PATHS),
        *objects,
    )


def _ports(protocol: Protocol = Protocol.HTTP) -> list[ServicePort]:
    return [port(n, protocol, name=f"p{n}", target=20_000 + n) for n in range(1, PORTS + 1)]


def _policies(mesh: Mesh) -> set[str]:
    web = mesh.pod(SidecarId("web-1", "shop"))
    assert web is not None
    return {one.policy for port in inbound(mesh, web).ports for one in port.permits or ()}


def _too_large(mesh: Mesh) -> list[tuple[Code, str]]:
    large = (Code.LARGE_TARGET, Code.LARGE_INGRESS, Code.LARGE_SPLIT)
    return [(one.code, str(one.object)) for one in problems(mesh) if one.code in large]


@pytest.mark.parametrize("objects", [(LARGE, SMALL), (SMALL, LARGE)])
def test_a_target_far_too_large_is_closed_alone_and_is_a_problem(
    objects: tuple[TrafficTarget, ...],
) -> None:
    mesh = _mesh(*objects)

    assert {"shop/may"} == _policies(mesh)
    assert [(Code.LARGE_TARGET, "TrafficTarget shop/large")] == _too_large(mesh)
    opens = {name: effect(mesh, Kind.TRAFFIC_TARGET, "shop", name).opens for name in NAMES}
    assert {"may": True, "large": False} == opens


def test_names_in_certificates_count_of_accounts_that_nobody_made_too() -> None:
    sources = [CURL, *(Account("shop", f"none-{n}") for n in range(MOST // PORTS))]
    mesh = with_authority(_mesh(SMALL, traffic_target("large", sources=sources)))

    assert {"shop/may"} == _policies(mesh)


def test_an_address_counts_for_more_where_it_has_a_chain_of_its_own() -> None:
    callers = [
        pod(f"c{n}", account="many", app="c", addresses=(f"10.1.{n >> 8}.{n & 255}",))
        for n in range(MOST // PORTS // CHAIN)
    ]
    rule = RouteReference(Kind.TCP_ROUTE, "ports")
    of_few, of_many = (
        traffic_target("may", rule),
        traffic_target("large", rule, sources=[Account("shop", "many")]),
    )
    mesh = _mesh(tcp_route(), of_few, of_many, *callers, protocol=Protocol.TCP)

    assert {"shop/may"} == _policies(mesh)


def test_what_would_only_be_counted_has_no_more_room() -> None:
    mesh = _mesh(LARGE, SMALL, permissive=True)
    web = mesh.pod(SidecarId("web-1", "shop"))
    assert web is not None
    shadow = {one.policy for port in inbound(mesh, web).ports for one in port.shadow or ()}

    assert {"shop/may"} == shadow


def test_an_ingress_backend_far_too_large_is_closed_alone() -> None:
    ranges = [f"172.{n >> 8}.{n & 255}.0/24" for n in range(0, 2 * MOST // PORTS, 2)]
    backends = [Backend("web", 20_000 + n) for n in range(1, PORTS + 1)]
    mesh = _mesh(
        ingress_backend("small", *backends, ranges=["192.0.2.0/24"]),
        ingress_backend("large", *backends, ranges=ranges),
    )
    web = mesh.pod(SidecarId("web-1", "shop"))
    assert web is not None
    let_in = {one.policy for port in inbound(mesh, web).ports for one in port.ingress}

    assert {"shop/small"} == let_in
    assert [(Code.LARGE_INGRESS, "IngressBackend shop/large")] == _too_large(mesh)


def test_a_split_far_too_large_divides_nothing_and_others_divide() -> None:
    mesh = mesh_of(
        namespace(),
        mesh_config(),
        service("web", *_ports()),
        service("too", port(1), ips=["10.96.0.2"]),
        route_group("many", *[f"/{n}" for n in range(MOST // PORTS)]),
        traffic_split("large", ("web", 1), ("too", 1), route_groups=["many"]),
        traffic_split("small", ("web", 1), root="too"),
    )
    by = {branch.policy for one in directory(mesh).reachable for branch in one.branches}

    assert {"shop/small"} == by
    assert [(Code.LARGE_SPLIT, "TrafficSplit shop/large")] == _too_large(mesh)


def test_what_has_just_room_is_open() -> None:
    assert frozenset() == without_room({"a": 6, "b": 4}, 10)
    assert {"a"} == without_room({"a": 7, "b": 4}, 10)
    assert {"b", "c"} == without_room({"a": 5, "b": 6, "c": 6}, 10)
