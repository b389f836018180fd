"""Routes of plain HTTP towards the outside, and the refusal that says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.duration_pb2 import Duration

from towpath.encode.envoy.matches import header, request
from towpath.encode.envoy.names import (
    EGRESS_ROUTES,
    INBOUND_ROUTES,
    MTLS_ROUTES,
    PROBE_ROUTES,
    REFUSED_ROUTE,
    egress_routes_of,
)
from towpath.encode.envoy.regex import expression
from towpath.encode.pack import resource
from towpath.model.egress_plan import EgressPlan, Host
from towpath.model.egress_plan import Route as AllowedRoute
from towpath.model.paths import ANY_PATH, FOLDABLE
from towpath.model.snapshot import Layer, Resource
from towpath.model.types import ROUTES

ALL_INBOUND = (INBOUND_ROUTES, MTLS_ROUTES, PROBE_ROUTES)
METADATA = "towpath"
"""The metadata namespace in which a refusal finds the policies that speak of its host."""


def egress_routes(plan: EgressPlan) -> Layer:
    """A route configuration for each address range of each port where HTTP is looked at."""
    return Layer(
        tuple(
            _configuration(
                egress_routes_of(port.number, address_range.range),
                [_named(host, port.number) for host in address_range.hosts],
                other_hosts=address_range.other_hosts,
            )
            for port in plan.ports
            for address_range in port.address_ranges
            if address_range.hosts is not None
        )
    )


def revoked(type_url: str, name: str) -> Resource | None:
    """Routes that allow nothing, for connections that outlive their chain; None for the rest.

    A draining chain keeps following its routes: taking them away would leave the old ones.
    """
    if type_url != ROUTES or not name.startswith((EGRESS_ROUTES, *ALL_INBOUND)):
        return None
    return _configuration(name, [], other_hosts=None)


def _configuration(name: str, hosts: list[VirtualHost], *, other_hosts: str | None) -> Resource:
    if other_hosts is not None:
        hosts = [*hosts, _others(other_hosts)]
    routes = RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
    )
    return resource(name, routes)


def _named(host: Host, port: int) -> VirtualHost:
    return VirtualHost(
        name=f"egress_virtual-host|{host.host}",
        # With a final dot it is the same name.
        domains=[
            f"{name}{tail}" for name in (host.host, f"{host.host}.") for tail in ("", f":{port}")
        ],
        routes=[*_foldable(host), *_tunnels(host), *map(_allowed, host.routes), _last(host)],
    )


def _foldable(host: Host) -> Iterator[Route]:
    """Before rules about paths: what a server may fold to another path is for rules of any path."""
    if all(route.match.path == ANY_PATH for route in host.routes):
        return
    for route in host.routes:
        if route.match.path == ANY_PATH:
            yield _allowed(replace(route, match=replace(route.match, path=FOLDABLE)))
    match = RouteMatch(safe_regex=expression(FOLDABLE))
    yield _otherwise(
        host, match, note="; a path that servers may normalize needs a rule for any path"
    )


def _tunnels(host: Host) -> Iterator[Route]:
    """CONNECT has no path: it is for rules of any path, and no other kind of route matches it."""
    connect = RouteMatch.ConnectMatcher()
    for route in host.routes:
        wanted = route.match
        if wanted.path == ANY_PATH and (not wanted.methods or "CONNECT" in wanted.methods):
            headers = [header(name, regex) for name, regex in wanted.headers]
            match = RouteMatch(connect_matcher=connect, headers=headers)
            yield _leading(route, match)
            if not headers:
                return
    yield _otherwise(host, RouteMatch(connect_matcher=connect))


def _last(host: Host) -> Route:
    return _otherwise(host, RouteMatch(prefix="/"))


def _otherwise(host: Host, match: RouteMatch, *, note: str = "") -> Route:
    """What becomes of requests that no rule allows."""
    if host.otherwise is not None:
        return _to(host.otherwise, match)
    return Route(
        name=REFUSED_ROUTE,
        match=match,
        direct_response=DirectResponseAction(status=404),
        metadata=_naming(", ".join(host.policies) + note),
    )


@lru_cache(maxsize=1024)
def _naming(policies: str) -> Metadata:
    """Made once: thousands of hosts may belong to the same policies."""
    metadata = Metadata()
    metadata.filter_metadata[METADATA].update({"policies": policies})
    return metadata


def _others(cluster: str) -> VirtualHost:
    """Hosts that no policy names, as they are: CONNECT too, which has no path to match."""
    matches = (
        RouteMatch(connect_matcher=RouteMatch.ConnectMatcher()),
        RouteMatch(prefix="/"),
    )
    return VirtualHost(
        name="egress_virtual-host|*",
        domains=["*"],
        routes=[_to(cluster, match) for match in matches],
    )


def _allowed(route: AllowedRoute) -> Route:
    return _leading(route, request(route.match))


def _leading(route: AllowedRoute, match: RouteMatch) -> Route:
    message = _to(route.target, match)
    message.name = message.stat_prefix = ",".join(route.policies)
    return message


def _to(cluster: str, match: RouteMatch) -> Route:
    return Route(match=match, route=RouteAction(cluster=cluster, timeout=Duration()))
