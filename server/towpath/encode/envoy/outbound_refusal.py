"""HTTP to a service of the mesh that may not be called: the client's own sidecar says so."""

from __future__ import annotations

from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.envoy import names
from towpath.encode.envoy.filters import manager_with, network_filter, say_refusal

REFUSAL = (
    "403: %REQ(:METHOD)% %REQ(:PATH)% of %REQ(:AUTHORITY)% at %DOWNSTREAM_LOCAL_ADDRESS% is not "
    "allowed: no TrafficTarget lets the service account of this pod call it\n"
)


def refuse_requests(stats: str) -> Filter:
    """403 for every request, whatever it asks for; gRPC clients are told PERMISSION_DENIED."""
    every = (
        RouteMatch(connect_matcher=RouteMatch.ConnectMatcher()),
        RouteMatch(prefix="/"),
    )
    refusal = DirectResponseAction(status=403)
    routes = [Route(name=names.REFUSED_ROUTE, match=one, direct_response=refusal) for one in every]
    host = VirtualHost(name=stats, domains=["*"], routes=routes)
    manager = manager_with(stats, RouteConfiguration(name=stats, virtual_hosts=[host]))
    say_refusal(manager, 403, REFUSAL, runtime_key="towpath.outbound_refusal")
    return network_filter(manager)
