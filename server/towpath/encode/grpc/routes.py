"""Route configurations: every call to a target goes to its one cluster."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import (
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.pack import resource
from towpath.model.plan import ProxylessTarget, ProxylessTargets
from towpath.model.snapshot import Layer, Resource


def routes(targets: ProxylessTargets) -> Layer:
    """One route configuration for each target."""
    return Layer(tuple(_whole(target) for target in targets))


def _shared(target: ProxylessTarget) -> RouteAction:
    """The clusters that share all calls; the requests of a conditional split are not looked at."""
    if not target.branches:
        return RouteAction(cluster=target.name)
    clusters = [
        WeightedCluster.ClusterWeight(name=name, weight={"value": weight})
        for name, weight in target.branches[-1].shares
    ]
    return RouteAction(weighted_clusters=WeightedCluster(clusters=clusters))


def _whole(target: ProxylessTarget) -> Resource:
    """For any authority: the name that was dialled has chosen the target already. How long a call
    may take is for its caller to say.
    """
    routes = [
        Route(match=RouteMatch(prefix=""), route=_shared(target))
        for branch in target.branches[-1:] or (None,)
        if branch is None or branch.shares
    ]
    host = VirtualHost(name=target.name, domains=["*"], routes=routes)
    return resource(target.name, RouteConfiguration(name=target.name, virtual_hosts=[host]))
