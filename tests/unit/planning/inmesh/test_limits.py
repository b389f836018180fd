"""What in-mesh policies may come to: what is far too large is closed, alone, and is a Problem."""

from __future__ import annotations

from dataclasses import replace

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
from towpath.planning.inmesh.limits import CHAIN, MOST_ENTRIES, MOST_SHARES, without_room

MOST, PORTS = 2_000, 10
CURL = Account("shop", "curl")
PATHS = [f"/{n}" for n in range(MOST // PORTS)]
FEW_AND_LONG = [f"/{n}" + "a" * 990 for n in range(8)]
"""Fewer than there is room for, were each no longer than others."""
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


def test_a_target_is_too_large_by_the_length_of_its_expressions_too() -> None:
    mesh = _mesh(
        traffic_target("large", RouteReference(Kind.HTTP_ROUTE_GROUP, "long")),
        SMALL,
        route_group("long", *FEW_AND_LONG),
    )

    assert {"shop/may"} == _policies(mesh)
    assert [(Code.LARGE_TARGET, "TrafficTarget shop/large")] == _too_large(mesh)


def test_a_target_is_too_large_by_the_length_of_its_sources_names_too() -> None:
    sources = [CURL, *(Account("shop", f"none-{n}" + "a" * 200) for n in range(40))]
    mesh = with_authority(_mesh(SMALL, traffic_target("large", sources=sources)))

    assert {"shop/may"} == _policies(mesh)


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


def test_an_ingress_backend_is_too_large_by_the_length_of_its_hosts_too() -> None:
    hosts = tuple(f"h{n}.{'.'.join(['a' * 60] * 4)}"[:253] for n in range(25))
    backends = [Backend("web", 20_000 + n, tls=True, hosts=hosts) for n in range(1, PORTS + 1)]
    principals = ["curl.shop"]
    few = [replace(one, hosts=("a.test",)) for one in backends]
    mesh = with_authority(
        _mesh(
            ingress_backend("small", *few, principals=principals),
            ingress_backend("large", *backends, principals=principals),
        )
    )

    assert [(Code.LARGE_INGRESS, "IngressBackend shop/large")] == _too_large(mesh)


@pytest.mark.parametrize("paths", [PATHS, FEW_AND_LONG])
def test_a_split_far_too_large_divides_nothing_and_others_divide(paths: list[str]) -> None:
    mesh = mesh_of(
        namespace(),
        mesh_config(),
        service("web", *_ports()),
        service("too", port(1), ips=["10.96.0.2"]),
        route_group("many", *paths),
        traffic_split("large", ("web", 1), ("too", 1), route_groups=["many"]),
        traffic_split("small", ("web", 1), root="too"),
    )
    by = {branch.policy for one in directory(mesh).reachable for branch in one.branches}

    assert {"shop/small"} == by
    assert [(Code.LARGE_SPLIT, "TrafficSplit shop/large")] == _too_large(mesh)


def test_what_ordinary_meshes_have_takes_a_tenth_of_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each kind: 100 requests for 20 callers, or 20 Services, on ten ports."""
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_ENTRIES", MOST_ENTRIES // 10)
    monkeypatch.setattr("towpath.planning.inmesh.splits.MOST_SHARES", MOST_SHARES // 10)
    paths = [f"/api/v{n}/customers/[0-9a-f-]+/orders/[0-9]+" for n in range(100)]
    sources = [CURL, *(Account("shop", f"caller-{n}") for n in range(19))]
    rule = RouteReference(Kind.HTTP_ROUTE_GROUP, "api")
    mesh = _mesh(
        route_group("api", *paths),
        traffic_target("may", rule, sources=sources),
        traffic_split("split", ("web", 1), ("v2", 1), route_groups=["api"]),
        ingress_backend(
            "in",
            *(Backend("web", 20_000 + n) for n in range(1, PORTS + 1)),
            ranges=[f"192.0.2.{n}/32" for n in range(20)],
        ),
    )

    assert [] == _too_large(with_authority(mesh))


def test_what_has_just_room_is_open() -> None:
    assert frozenset() == without_room({"a": 6, "b": 4}, 10)
    assert {"a"} == without_room({"a": 7, "b": 4}, 10)
    assert {"b", "c"} == without_room({"a": 5, "b": 6, "c": 6}, 10)
