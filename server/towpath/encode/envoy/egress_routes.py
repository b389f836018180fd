"""Routes of plain HTTP towards the outside, and the refusal that says why."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy.names import EGRESS_ROUTES, REFUSED_ROUTE, egress_routes_of
from towpath.encode.pack import resource, seconds
from towpath.model.egress import RequestMatch
from towpath.model.snapshot import Layer, Resource
from towpath.model.types import ROUTES
from towpath.model.ways import Host, Ways
from towpath.model.ways import Route as AllowedRoute

METADATA = "towpath"
"""The metadata namespace in which a refusal finds the policies that speak of its host."""


def egress_routes(ways: Ways) -> Layer:
    """A route configuration for each zone of each port where HTTP is looked at."""
    return Layer(
        tuple(
            _configuration(
                egress_routes_of(port.number, zone.range),
                [_named(host, port.number) for host in zone.hosts],
                other_hosts=zone.other_hosts,
            )
            for port in ways.ports
            for zone in port.zones
            if zone.hosts is not None
        )
    )


def revoked(type_url: str, name: str) -> Resource | None:
    """Routes that allow nothing, for connections that outlive their chain; None for the rest.

    A draining chain keeps following its routes: taking them away would leave the old ones.
    """
    if type_url != ROUTES or not name.startswith(EGRESS_ROUTES):
        return None
    return _configuration(name, [], other_hosts=None)


def _configuration(name: str, hosts: list[VirtualHost], *, other_hosts: str | None) -> Resource:
    if other_hosts is not None:
        hosts = [*hosts, _others(other_hosts)]
    routes = RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
        # The sidecar sets it if the client has not; outside, nobody asked for it.
        request_headers_to_remove=["x-forwarded-proto"],
    )
    return resource(name, routes)


def _named(host: Host, port: int) -> VirtualHost:
    routes = [_allowed(route) for route in host.routes]
    if host.otherwise is not None:
        routes.append(_everything(host.otherwise))
    else:
        routes.append(_refused(host))
    return VirtualHost(
        name=f"egress_virtual-host|{host.host}",
        domains=[host.host, f"{host.host}:{port}"],
        routes=routes,
    )


def _others(cluster: str) -> VirtualHost:
    """Hosts that no policy names, as they are: CONNECT too, which has no path to match."""
    connect = Route(
        match=RouteMatch(connect_matcher=RouteMatch.ConnectMatcher()),
        route=RouteAction(cluster=cluster, timeout=seconds(0)),
    )
    return VirtualHost(
        name="egress_virtual-host|*", domains=["*"], routes=[connect, _everything(cluster)]
    )


def _allowed(route: AllowedRoute) -> Route:
    return Route(
        match=_match(route.match),
        route=RouteAction(cluster=route.external, timeout=seconds(0)),
        stat_prefix=",".join(route.policies),
        name=",".join(route.policies),
    )


def _everything(cluster: str) -> Route:
    return Route(
        match=RouteMatch(prefix="/"), route=RouteAction(cluster=cluster, timeout=seconds(0))
    )


def _refused(host: Host) -> Route:
    metadata = Metadata()
    metadata.filter_metadata[METADATA].update({"policies": ", ".join(host.policies)})
    return Route(
        name=REFUSED_ROUTE,
        match=RouteMatch(prefix="/"),
        direct_response=DirectResponseAction(status=404),
        metadata=metadata,
    )


def _match(match: RequestMatch) -> RouteMatch:
    headers = [_header(":authority" if n == "host" else n, r) for n, r in match.headers]
    if match.methods:
        headers.insert(0, _header(":method", "|".join(match.methods)))
    return RouteMatch(safe_regex=RegexMatcher(regex=match.path), headers=headers)


def _header(name: str, regex: str) -> HeaderMatcher:
    return HeaderMatcher(
        name=name, string_match=StringMatcher(safe_regex=RegexMatcher(regex=regex))
    )
