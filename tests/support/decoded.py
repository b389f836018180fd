"""Encoded resources back as protobuf messages, with what a test asks of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from towpath.model.snapshot import Resource

M = TypeVar("M", bound=Message)


def unpacked(packed: AnyMessage, message_type: type[M]) -> M:
    message = message_type()
    assert packed.Unpack(message), f"{packed.type_url} is not {message_type.__name__}"
    return message


def decoded(resource: Resource, message_type: type[M]) -> M:
    return unpacked(AnyMessage.FromString(resource.packed), message_type)


def listener(resource: Resource) -> Any:
    return decoded(resource, Listener)


def cluster(resource: Resource) -> Any:
    return decoded(resource, Cluster)


def routes(resource: Resource) -> Any:
    return decoded(resource, RouteConfiguration)


def assignment(resource: Resource) -> Any:
    return decoded(resource, ClusterLoadAssignment)


def chains(of: Any) -> dict[str, Any]:
    """A listener's filter chains by name; the default one is not among them."""
    return {chain.name: chain for chain in of.filter_chains}


def named_by_listeners(resources: Iterable[Resource]) -> tuple[set[str], set[str]]:
    """The clusters and the route configurations that filters of these listeners name."""
    clusters: set[str] = set()
    configurations: set[str] = set()
    for one in resources:
        for packed in _filters(listener(one)):
            if packed.Is(TcpProxy.DESCRIPTOR):
                clusters.add(unpacked(packed, TcpProxy).cluster)
            else:
                manager = unpacked(packed, hcm.HttpConnectionManager)
                if manager.HasField("rds"):
                    configurations.add(manager.rds.route_config_name)
                else:
                    clusters |= clusters_of(manager.route_config)
    return clusters, configurations


def clusters_of(configuration: Any) -> set[str]:
    hosts = configuration.virtual_hosts
    return {route.route.cluster for host in hosts for route in host.routes}


def _filters(of: Any) -> Iterator[AnyMessage]:
    for chain in (*of.filter_chains, of.default_filter_chain):
        for one in chain.filters:
            yield one.typed_config
