"""Route configurations: which cluster an HTTP request goes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.rbac.v3.rbac_pb2 import Policy
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy import matches, names
from towpath.encode.envoy.limits import REQUEST_LIMIT, request_limit
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.encode.envoy.permits import granted, ingress
from towpath.encode.envoy.rbac import allow, everything
from towpath.encode.envoy.retries import retry_policy
from towpath.encode.pack import resource, seconds
from towpath.model.egress import RequestMatch
from towpath.model.limits import RateLimits
from towpath.model.names import Protocol
from towpath.model.paths import ANY_PATH
from towpath.model.plan import (
    Branch,
    Destination,
    Destinations,
    Inbound,
    InboundPort,
    Permit,
    Request,
    Retries,
    ServerMtls,
)
from towpath.model.retries import RetryPolicy
from towpath.model.snapshot import Layer, Resource


def outbound_routes(destinations: Destinations) -> Layer:
    """Routes of the in-mesh HTTP destinations.

    The address that was dialled has chosen the destination, so the Host header is left alone. Those
    of a destination that nobody dials are of no use, and left out.
    """
    return retried_routes(destinations, ())


def retried_routes(destinations: Destinations, retries: Retries) -> Layer:
    """The same, where requests for some of them are sent again."""
    policies = dict(retries)
    return Layer(
        tuple(
            _outbound(names.outbound_routes_of(d), d, policies.get(d.name))
            for d in destinations
            if d.protocol is Protocol.HTTP and d.addresses
        )
    )


def inbound_routes(plan: Inbound) -> Layer:
    """Routes to the application's own ports, for HTTP.

    An open port that speaks TCP has them too: one that spoke HTTP before follows them until its
    listener is there, and as long as its old chain drains.
    """
    mtls = plan.mtls
    of_ports = (
        _inbound(names.inbound_routes_of(p), _in_plaintext(p, mtls), by_certificate=False)
        for p in plan.ports
        if p.probes is None or p.protocol is Protocol.HTTP
    )
    by_mtls = (
        _inbound(names.mtls_routes_of(p), p, by_certificate=True)
        for p in (plan.ports if mtls else ())
        if p.probes is None
    )
    beside_mtls = (
        _inbound(names.probe_routes_of(p), p, by_certificate=False)
        for p in (mtls.probes if mtls else ())
    )
    return Layer((*of_ports, *by_mtls, *beside_mtls))


def prometheus_routes() -> RouteConfiguration:
    """One path of the sidecar's admin interface, and nothing else of it."""
    route = Route(
        match=RouteMatch(path="/stats/prometheus"),
        route=RouteAction(cluster=names.ADMIN_CLUSTER),
    )
    return _configuration("prometheus", route)


def _outbound(name: str, destination: Destination, retry: RetryPolicy | None) -> Resource:
    if destination.branches:
        routes = [route for branch in destination.branches for route in _branch(branch)]
    else:
        routes = list(_whole(destination.name))
    if retry is not None:
        for route in routes:
            # A tunnel cannot be opened again: what went through it is gone.
            if route.HasField("route") and not route.match.HasField("connect_matcher"):
                route.route.retry_policy.CopyFrom(retry_policy(retry))
    return resource(name, _configuration(name, *routes))


def _branch(branch: Branch) -> Iterable[Route]:
    """What a branch is about, in proportion to the clusters that share it."""
    meant = [one for match in branch.matches for one in _meant(match)]
    for match in meant or _everything():
        route = Route(name=branch.policy, match=match)
        if branch.shares:
            route.route.CopyFrom(_shared(branch.shares))
        else:
            text = f"503: no backend of TrafficSplit {branch.policy} can be used\n"
            body = DataSource(inline_string=text)
            route.direct_response.CopyFrom(DirectResponseAction(status=503, body=body))
        yield route


def _meant(match: RequestMatch) -> Iterable[RouteMatch]:
    """CONNECT has no path: it is for requests of any path, and no expression matches it."""
    if match.path == ANY_PATH and (not match.methods or "CONNECT" in match.methods):
        headers = [matches.header(name, regex) for name, regex in match.headers]
        yield RouteMatch(connect_matcher=RouteMatch.ConnectMatcher(), headers=headers)
    yield matches.request(match)


def _shared(shares: tuple[tuple[str, int], ...]) -> RouteAction:
    if len(shares) == 1:
        [(cluster, _)] = shares
        return RouteAction(cluster=cluster, timeout=seconds(0))
    clusters = [
        WeightedCluster.ClusterWeight(name=name, weight={"value": weight})
        for name, weight in shares
    ]
    return RouteAction(weighted_clusters=WeightedCluster(clusters=clusters), timeout=seconds(0))


def _inbound(name: str, port: InboundPort, *, by_certificate: bool) -> Resource:
    """What may be asked of the application: everything, or probes alone; by anyone, or as policies
    say of those who call.
    """
    shadow = None
    if port.probes is not None:
        routes, policies = _probes(port.cluster_name, port.probes), everything()
    elif port.permits is None:
        routes, policies = _whole(port.cluster_name), everything()
        if port.shadow is not None:
            shadow = _let_in(port, port.shadow, by_certificate=by_certificate)
    else:
        routes = _whole(port.cluster_name)
        policies = _let_in(port, port.permits, by_certificate=by_certificate)
    limits = port.limits if _sees_requests(port) else RateLimits()
    configuration = _configuration(name, *_limited(port.cluster_name, limits), *routes)
    (host,) = configuration.virtual_hosts
    host.typed_per_filter_config[RBAC_FILTER].CopyFrom(allow(policies, shadow=shadow))
    if limits.requests is not None:
        host.typed_per_filter_config[REQUEST_LIMIT].CopyFrom(request_limit(limits.requests))
    return resource(name, configuration)


def _let_in(
    port: InboundPort, permits: tuple[Permit, ...], *, by_certificate: bool
) -> dict[str, Policy]:
    """The policies of those permits, of the kubelet, and of what comes from outside the mesh."""
    sees = _sees_requests(port)
    from_outside = port.tls_ingress if by_certificate else port.plain_ingress
    return {
        **granted(permits if sees else (), port.health, by_certificate=by_certificate),
        **ingress(from_outside if sees else ()),
    }


def _in_plaintext(port: InboundPort, mtls: ServerMtls | None) -> InboundPort:
    """What plaintext may ask of a port: in strict mode nothing but what IngressBackends let in, and
    the kubelet's requests.

    That is so without a chain for it as well: one that was there follows these routes until it has
    drained, with connections of callers whom it refused.
    """
    if mtls is None or not mtls.strict or port.probes is not None:
        return port
    probes = {one.port: one.probes or () for one in mtls.probes}
    return replace(port, permits=(), health=probes.get(port.port, ()))


def _sees_requests(port: InboundPort) -> bool:
    """True if others than the kubelet send HTTP to the port."""
    return port.probes is None and port.protocol is Protocol.HTTP


def _limited(cluster: str, limits: RateLimits) -> Iterable[Route]:
    """Paths with a limit of their own, in place of that of the others."""
    for path, limit in limits.routes:
        match = matches.request(RequestMatch(path))
        route = Route(match=match, route=RouteAction(cluster=cluster, timeout=seconds(0)))
        route.typed_per_filter_config[REQUEST_LIMIT].CopyFrom(request_limit(limit))
        yield route


def _whole(cluster: str) -> Iterable[Route]:
    """Everything to one cluster."""
    for match in _everything():
        yield Route(match=match, route=RouteAction(cluster=cluster, timeout=seconds(0)))


def _everything() -> Iterable[RouteMatch]:
    """Any request; CONNECT has no path, and needs a match of its own."""
    yield RouteMatch(connect_matcher=RouteMatch.ConnectMatcher())
    yield RouteMatch(prefix="/")


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
