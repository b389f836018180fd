"""What in-mesh policies may come to: what is far too large is closed, alone, and is a Problem."""

from __future__ import annotations

from dataclasses import replace

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
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from towpath.answers.effect import effect
from towpath.model.codes import Code
from towpath.model.egress import UpstreamTrafficSetting
from towpath.model.ingress import Backend
from towpath.model.inmesh import RouteReference, TrafficTarget
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol, SidecarId
from towpath.model.workloads import ServicePort
from towpath.planning import inbound, problems
from towpath.planning.destinations import directory
from towpath.planning.entries import BUCKET
from towpath.planning.inmesh.limits import (
    CHAIN,
    MOST_ENTRIES,
    MOST_LIMITS,
    MOST_SHARES,
    without_room,
)

MOST, PORTS = 2_000, 10
CURL = Account("shop", "curl")
PATHS = [f"/{n}" for n in range(MOST // PORTS)]
FEW_AND_LONG = [f"/{n}" + "a" * 990 for n in range(8)]
"""Fewer than there is room for, were each no longer than others."""
LARGE = traffic_target("large", RouteReference(Kind.HTTP_ROUTE_GROUP, "many"))
SMALL = traffic_target()
NAMES = ("may", "large")
FEW = Rate(1, 60)


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_ENTRIES", MOST)
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_LIMITS", MOST)
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
    large = (Code.LARGE_TARGET, Code.LARGE_INGRESS, Code.LARGE_SPLIT, Code.LARGE_LIMITS)
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


def _limiting(name: str, limits: RateLimits, service: str = "web") -> UpstreamTrafficSetting:
    return setting(name, service=service, limits=limits, max_connections=None)


def _of_paths(*paths: str, headers: tuple[tuple[str, str], ...] = ()) -> RateLimits:
    return RateLimits(routes=tuple((path, RequestLimit(FEW, 429, headers)) for path in paths))


def _limits_of(mesh: Mesh, name: str = "web-1") -> dict[int, RateLimits]:
    of = mesh.pod(SidecarId(name, "shop"))
    assert of is not None
    return {one.port: one.limits for one in inbound(mesh, of).ports}


@pytest.mark.parametrize(
    "limits",
    [
        _of_paths(*PATHS[: MOST // PORTS // BUCKET + 1]),
        _of_paths(*FEW_AND_LONG),
        _of_paths("/a", headers=tuple((f"x-{n}", "v" * 1_000) for n in range(8))),
        RateLimits(requests=RequestLimit(FEW, 429, (("x", "v" * 32 * MOST),))),
    ],
)
def test_rate_limits_far_too_large_close_what_they_would_limit_alone(limits: RateLimits) -> None:
    small = _of_paths("/a")
    mesh = _mesh(
        service("too", port(99), ips=["10.96.0.2"], selector={"app": "web"}),
        service("other", port(99), ips=["10.96.0.3"]),
        pod("other-1", account="other", app="other", addresses=("10.0.0.3",)),
        endpoint_slice("web", "10.0.0.1"),
        _limiting("large", limits),
        _limiting("small", small, "too"),
        permissive=True,
    )

    assert {8080: small} == _limits_of(mesh)
    assert {8080: RateLimits()} == _limits_of(mesh, "other-1")
    assert [(Code.LARGE_LIMITS, "UpstreamTrafficSetting shop/large")] == _too_large(mesh)
    effects = {
        name: effect(mesh, Kind.UPSTREAM_TRAFFIC_SETTING, "shop", name).opens
        for name in ("large", "small")
    }
    assert {"large": False, "small": True} == effects


def test_rate_limits_count_only_where_they_hold() -> None:
    """Of requests not where bytes are spoken; and not where another Service's hold."""
    large = _of_paths(*FEW_AND_LONG)
    of_bytes = _mesh(_limiting("large", large), protocol=Protocol.TCP, permissive=True)
    first = service("a", *_ports(), ips=["10.96.0.2"], selector={"app": "web"})
    behind = _mesh(
        first,
        _limiting("first", _of_paths("/a"), "a"),
        _limiting("large", large),
        permissive=True,
    )

    assert PORTS == len(_limits_of(of_bytes))
    assert {_of_paths("/a")} == set(_limits_of(behind).values())
    assert [] == _too_large(of_bytes) + _too_large(behind)


def test_many_rate_limits_of_one_pod_are_too_large_together() -> None:
    half = _of_paths(*PATHS[: MOST // BUCKET // 3])
    services = [
        service(f"s{n}", port(n, target=30_000 + n), ips=[f"10.96.1.{n}"], selector={"app": "web"})
        for n in range(1, 6)
    ]
    settings = [_limiting(f"l{n}", half, f"s{n}") for n in range(1, 6)]
    mesh = _mesh(*services, *settings, permissive=True)

    assert 3 == sum(limits == half for limits in _limits_of(mesh).values())
    assert 2 == len(_too_large(mesh))


def test_what_ordinary_meshes_have_takes_a_tenth_of_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each kind, on ten ports: 100 requests for 20 callers, or of one of two Services, or from
    20 ranges, or 30 of them limited.
    """
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_ENTRIES", MOST_ENTRIES // 10)
    monkeypatch.setattr("towpath.planning.inmesh.limits.MOST_LIMITS", MOST_LIMITS // 10)
    monkeypatch.setattr("towpath.planning.inmesh.splits.MOST_SHARES", MOST_SHARES // 10)
    paths = [f"/api/v{n}/customers/[0-9a-f-]+/orders/[0-9]+" for n in range(100)]
    sources = [CURL, *(Account("shop", f"caller-{n}") for n in range(19))]
    rule = RouteReference(Kind.HTTP_ROUTE_GROUP, "api")
    mesh = _mesh(
        route_group("api", *paths),
        traffic_target("may", rule, sources=sources),
        _limiting("limits", _of_paths(*paths[:30], headers=(("retry-after", "5"),))),
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
