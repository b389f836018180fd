"""A mesh whose TrafficTargets decide: services that speak HTTP, accounts of several pods, and
targets between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bench.mesh.picture import APP_PORT, Change, Picture, Size, space
from support.objects import mesh_config, pod, port, route_group, service, traffic_target
from towpath.encode.envoy.names import INBOUND_ROUTES, OUTBOUND_ROUTES
from towpath.hub.compose import Group, group, without_endpoints
from towpath.hub.queries import Queries
from towpath.model.inmesh import RouteReference, TrafficTarget
from towpath.model.names import Account, ClientKind, Kind, Protocol
from towpath.model.workloads import Pod, Service
from towpath.settings import MeshSettings
from towpath.store import Store

TARGETS = 2_000
DISTANCES = (1, 7, 31, 101)
"""The n-th target of an account lets in the account that comes so many after it."""

READ, WRITE = "read", "write"


@dataclass
class WithTargets(Picture):
    """One account for each service, and `TARGETS` targets, as many to each account."""

    def fill(self) -> None:
        super().fill()
        self.store.apply(mesh_config(permissive=False))
        for namespace in {space(number) for number in range(self.size.services)}:
            for name, methods in ((READ, ("GET",)), (WRITE, ("GET", "POST"))):
                self.store.apply(
                    route_group(name, f"/{name}/.*", in_namespace=namespace, methods=methods)
                )
        for number in range(TARGETS):
            self.store.apply(self._target(number))

    @property
    def routes(self) -> Callable[[frozenset[str]], frozenset[str]]:
        return _routes

    @property
    def changes(self) -> tuple[Change, ...]:
        each = self.size.sidecars // self.size.services
        return (
            Change("target: requests", self.requests, each),
            Change("target: source", self.source, each),
            Change("new pod", self.new_pod, each),
            Change("endpoint", self.endpoint, each),
        )

    def requests(self) -> None:
        """Another group of requests in the first target, to and fro."""
        group = WRITE if self._odd("requests") else READ
        self.store.apply(replace(self._target(0), rules=(RouteReference(_GROUP, group),)))

    def source(self) -> None:
        """One more account in the first target, or one less."""
        one = self._target(0)
        more = (self._account(self.size.services // 2),) if self._odd("source") else ()
        self.store.apply(replace(one, sources=(*one.sources, *more)))

    def new_pod(self) -> None:
        """One more pod of an account that two targets name, or one less; it is no endpoint."""
        of = self.size.services // 2
        if self._odd("pod"):
            address = "10.200.0.1"
            one = pod("new", in_namespace=space(of), account=f"account-{of}", addresses=[address])
            self.store.apply(replace(one, labels=()))
        else:
            self.store.delete(Kind.POD, space(of), "new")

    def _target(self, number: int) -> TrafficTarget:
        of = number % self.size.services
        source = of + DISTANCES[number // self.size.services % len(DISTANCES)]
        return traffic_target(
            f"target-{number}",
            RouteReference(_GROUP, READ),
            destination=f"account-{of}",
            sources=(self._account(source % self.size.services),),
            in_namespace=space(of),
        )

    def _account(self, number: int) -> Account:
        return Account(space(number), f"account-{number}")

    def _service(self, number: int) -> Service:
        one = super()._service(number)
        (address,) = one.cluster_ips
        return service(
            one.name,
            port(80, Protocol.HTTP, target=APP_PORT),
            in_namespace=one.namespace,
            ips=[address],
        )

    def _pod(self, number: int) -> Pod:
        return replace(
            super()._pod(number), service_account=f"account-{number % self.size.services}"
        )


def _routes(clusters: frozenset[str]) -> frozenset[str]:
    return frozenset(
        {f"{INBOUND_ROUTES}{APP_PORT}", *(f"{OUTBOUND_ROUTES}{name}" for name in clusters)}
    )


_GROUP = Kind.HTTP_ROUTE_GROUP


def recompute(size: Size, *, rounds: int) -> dict[str, tuple[float, int]]:
    """Of each change: the CPU in microseconds to plan and encode again what it touches, without
    streams, and of how many groups of sidecars that is.
    """
    store = Store(MeshSettings().scope, on_change=lambda: None)
    picture = WithTargets(size, store)
    picture.fill()
    for kind in Kind:
        store.listed(kind)
    mesh, _ = store.drain()
    queries = Queries(mesh)
    asked = [(ClientKind.ENVOY, picture.sidecar(number)) for number in range(size.pods)]
    for one in asked:
        _snapshot(queries, one)
    return {
        change.name: _median([_recomputed(store, queries, change) for _ in range(2 * rounds)])
        for change in picture.changes
    }


def _recomputed(store: Store, queries: Queries, change: Change) -> tuple[float, int]:
    change.make()
    began = time.thread_time()
    stale = queries.update(*store.drain())
    groups = {_snapshot(queries, args) for query, args in stale if query is group}
    return (time.thread_time() - began) * 1e6, len(groups)


def _snapshot(queries: Queries, one: tuple[Any, ...]) -> Group | None:
    """The group of a sidecar, after what it is to hold has been computed."""
    clients = queries.get(group, *one)
    if clients is not None:
        queries.get(without_endpoints, clients)
    return clients


def _median(measured: list[tuple[float, int]]) -> tuple[float, int]:
    return sorted(measured)[len(measured) // 2]
