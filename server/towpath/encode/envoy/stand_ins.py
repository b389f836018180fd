"""What stands in for a resource that is absent, or must not be sent: it lets nothing through."""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.envoy import names
from towpath.encode.envoy.listeners import ipv4_address
from towpath.encode.pack import resource, seconds
from towpath.model.ports import INBOUND_PORT, OUTBOUND_PORT, PROMETHEUS_PORT
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

_PORTS = {
    names.OUTBOUND_LISTENER: OUTBOUND_PORT,
    names.INBOUND_LISTENER: INBOUND_PORT,
    names.PROMETHEUS_LISTENER: PROMETHEUS_PORT,
}


def closed(type_url: str, name: str) -> Resource | None:
    """The resource of that name that lets nothing through; None for a type that has none."""
    if type_url == ENDPOINTS:
        return resource(name, ClusterLoadAssignment(cluster_name=name))
    if type_url == CLUSTER:
        nowhere = ClusterLoadAssignment(cluster_name=name)
        cluster = Cluster(name=name, type=Cluster.STATIC, load_assignment=nowhere)
        cluster.connect_timeout.CopyFrom(seconds(1))
        return resource(name, cluster)
    if type_url == ROUTES:
        return resource(name, RouteConfiguration(name=name))
    if type_url == LISTENER and name in _PORTS:
        return resource(name, _closed_listener(name, _PORTS[name]))
    return None


def _closed_listener(name: str, port: int) -> Listener:
    """Nothing but a chain without filters, which closes whatever comes."""
    guard = FilterChain(name=names.SELF_LOOP_GUARD, filter_chain_match=FilterChainMatch())
    return Listener(name=name, address=ipv4_address("0.0.0.0", port), filter_chains=[guard])
