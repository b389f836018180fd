"""Route configurations: every call to a target goes to its one cluster."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import (
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.pack import resource
from towpath.model.plan import ProxylessTarget, ProxylessTargets
from towpath.model.snapshot import Layer, Resource


def routes(targets: ProxylessTargets) -> Layer:
    """One route configuration for each target."""
    return Layer(tuple(_whole(target) for target in targets))


def _whole(target: ProxylessTarget) -> Resource:
    """For any authority: the name that was dialled has chosen the target already. How long a call
    may take is for its caller to say.
    """
    route = Route(match=RouteMatch(prefix=""), route=RouteAction(cluster=target.name))
    host = VirtualHost(name=target.name, domains=["*"], routes=[route])
    return resource(target.name, RouteConfiguration(name=target.name, virtual_hosts=[host]))
