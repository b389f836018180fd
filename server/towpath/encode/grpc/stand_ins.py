"""What is sent in place of a resource that is gone, or must not be sent."""

from __future__ import annotations

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.grpc.listeners import closed_listener
from towpath.encode.pack import resource
from towpath.model.snapshot import Resource
from towpath.model.types import ENDPOINTS, LISTENER, ROUTES


def closed(type_url: str, name: str) -> Resource | None:
    """The resource of that name that lets no call through; None for a type that has none.

    Leaving a resource out is not enough: clients may keep what they hold of it (A88, «Ignoring
    Resource Deletion»: https://github.com/grpc/proposal/blob/master/A88-xds-data-error-handling.md).
    """
    if type_url == LISTENER:
        return closed_listener(name)
    if type_url == ROUTES:
        host = VirtualHost(name=name, domains=["*"])
        return resource(name, RouteConfiguration(name=name, virtual_hosts=[host]))
    if type_url == ENDPOINTS:
        return resource(name, ClusterLoadAssignment(cluster_name=name))
    return None
