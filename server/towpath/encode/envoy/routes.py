"""Route configurations: which cluster an HTTP request goes to."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy import names
from towpath.encode.envoy.rbac import RBAC_FILTER, allow, everything
from towpath.encode.pack import resource, seconds
from towpath.model.names import Protocol
from towpath.model.plan import Destinations, Inbound, Request
from towpath.model.snapshot import Layer, Resource


def outbound_routes(destinations: Destinations) -> Layer:
    """Routes of the in-mesh HTTP destinations.

    The address that was dialled has chosen the destination, so the Host header is left alone.
    """
    return Layer(
        tuple(
            _outbound(names.outbound_routes_of(d), d.name)
            for d in destinations
            if d.protocol is Protocol.HTTP
        )
    )


def inbound_routes(plan: Inbound) -> Layer:
    """Routes to the application's own ports, for HTTP.

    An open port that speaks TCP has them too: one that spoke HTTP before follows them until its
    listener is there, and as long as its old chain drains.
    """
    of_ports = (
        _inbound(names.inbound_routes_of(p), p.cluster_name, p.probes)
        for p in plan.ports
        if p.probes is None or p.protocol is Protocol.HTTP
    )
    beside_mtls = (
        _inbound(names.probe_routes_of(p), p.cluster_name, p.probes or ())
        for p in (plan.mtls.probes if plan.mtls else ())
    )
    return Layer((*of_ports, *beside_mtls))


def prometheus_routes() -> RouteConfiguration:
    """One path of the sidecar's admin interface, and nothing else of it."""
    route = Route(
        match=RouteMatch(path="/stats/prometheus"),
        route=RouteAction(cluster=names.ADMIN_CLUSTER),
    )
    return _configuration("prometheus", route)


def _outbound(name: str, cluster: str) -> Resource:
    return resource(name, _configuration(name, *_whole(cluster)))


def _inbound(name: str, cluster: str, probes: tuple[Request, ...] | None) -> Resource:
    """What may be asked of the application, by anyone: everything, or these requests alone."""
    routes = _whole(cluster) if probes is None else _probes(cluster, probes)
    configuration = _configuration(name, *routes)
    (host,) = configuration.virtual_hosts
    host.typed_per_filter_config[RBAC_FILTER].CopyFrom(allow(everything()))
    return resource(name, configuration)


def _whole(cluster: str) -> Iterable[Route]:
    """Everything to one cluster; CONNECT has no path, and needs a match of its own."""
    connect = RouteMatch(connect_matcher=RouteMatch.ConnectMatcher())
    for match in (connect, RouteMatch(prefix="/")):
        yield Route(match=match, route=RouteAction(cluster=cluster, timeout=seconds(0)))


def _probes(cluster: str, requests: tuple[Request, ...]) -> Iterable[Route]:
    """Nothing but these requests; any other gets 403."""
    for request in requests:
        yield Route(
            match=RouteMatch(path=request.path, headers=[_method(request.method)]),
            route=RouteAction(cluster=cluster, timeout=seconds(0)),
        )


def _method(method: str) -> HeaderMatcher:
    return HeaderMatcher(name=":method", string_match=StringMatcher(exact=method))


def _configuration(name: str, *routes: Route) -> RouteConfiguration:
    host = VirtualHost(name=name, domains=["*"], routes=routes)
    return RouteConfiguration(name=name, virtual_hosts=[host])
