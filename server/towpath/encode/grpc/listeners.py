"""Listeners: what a name that a client dials stands for."""

from __future__ import annotations

from envoy.config.listener.v3.api_listener_pb2 import ApiListener
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from towpath.encode.pack import ads, pack, resource
from towpath.model.plan import ProxylessTarget, ProxylessTargets
from towpath.model.snapshot import Layer, Resource


def listeners(targets: ProxylessTargets) -> Layer:
    """A listener for each name of each target; the client asks for it by just that name."""
    return Layer(tuple(_listener(name, target) for target in targets for name in target.names))


def closed_listener(name: str) -> Resource:
    """The listener of that name under which there is no route."""
    nowhere = RouteConfiguration(name=name, virtual_hosts=[VirtualHost(name=name, domains=["*"])])
    return _resource(name, hcm.HttpConnectionManager(stat_prefix=name, route_config=nowhere))


def _listener(name: str, target: ProxylessTarget) -> Resource:
    rds = hcm.Rds(config_source=ads(), route_config_name=target.name)
    return _resource(name, hcm.HttpConnectionManager(stat_prefix=target.name, rds=rds))


def _resource(name: str, manager: hcm.HttpConnectionManager) -> Resource:
    """Without address and chains, for nothing listens on it; its only filter is the router, which
    clients want to be the last one.
    """
    manager.http_filters.add(name="router", typed_config=pack(Router()))
    listener = Listener(name=name, api_listener=ApiListener(api_listener=pack(manager)))
    return resource(name, listener)
