"""Clusters of the externals that policies lead to."""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig

from towpath.encode.envoy.clusters import finished, original_dst
from towpath.encode.envoy.names import alt_stat_name
from towpath.encode.pack import pack
from towpath.model.names import Protocol
from towpath.model.snapshot import Layer
from towpath.model.ways import External, Reach, Ways


def egress_clusters(ways: Ways) -> Layer:
    """A cluster for each external."""
    return Layer(
        tuple(
            finished(_cluster(external), protocol=Protocol.HTTP, settings=external.settings)
            for external in ways.externals
        )
    )


def dns_cache() -> DnsCacheConfig:
    """The one cache of names that clients ask for under a pattern."""
    return DnsCacheConfig(name="egress", dns_lookup_family=Cluster.V4_ONLY)


def _cluster(external: External) -> Cluster:
    match external.reach:
        case Reach.ADDRESS:
            return original_dst(external.name)
        case Reach.NAME:
            return _by_name(external)
        case Reach.PATTERN:
            return _by_pattern(external)


def _by_name(external: External) -> Cluster:
    address = Address(socket_address=SocketAddress(address=external.host, port_value=external.port))
    endpoint = LbEndpoint(endpoint=Endpoint(address=address), load_balancing_weight={"value": 100})
    return Cluster(
        name=external.name,
        alt_stat_name=alt_stat_name(external.name),
        type=Cluster.STRICT_DNS,
        dns_lookup_family=Cluster.V4_ONLY,
        load_assignment=ClusterLoadAssignment(
            cluster_name=external.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        # A name that cannot be looked up must not keep the whole sidecar from starting.
        wait_for_warm_on_init={"value": False},
    )


def _by_pattern(external: External) -> Cluster:
    return Cluster(
        name=external.name,
        alt_stat_name=alt_stat_name(external.name),
        lb_policy=Cluster.CLUSTER_PROVIDED,
        cluster_type=Cluster.CustomClusterType(
            name="envoy.clusters.dynamic_forward_proxy",
            # The options are about TLS that the sidecar would begin itself, which it never does.
            typed_config=pack(
                ClusterConfig(dns_cache_config=dns_cache(), allow_insecure_cluster_options=True)
            ),
        ),
    )
