"""Clusters of the targets that policies lead to."""

from __future__ import annotations

from functools import lru_cache

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.clusters.common.dns.v3.dns_pb2 import V4_ONLY
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig
from envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2 import (
    CaresDnsResolverConfig,
)
from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.envoy.clusters import finished, original_dst
from towpath.encode.envoy.names import in_statistics
from towpath.encode.pack import pack, seconds
from towpath.model.egress_plan import EgressPlan, EgressTarget, Resolution
from towpath.model.names import Protocol
from towpath.model.snapshot import Layer


def egress_clusters(plan: EgressPlan) -> Layer:
    """A cluster for each target."""
    return Layer(
        tuple(
            finished(_cluster(target), protocol=Protocol.HTTP, settings=target.settings)
            for target in plan.targets
        )
    )


def dns_cache() -> DnsCacheConfig:
    """The one cache of names that clients ask for under a pattern."""
    return DnsCacheConfig(name="egress", dns_lookup_family=Cluster.V4_ONLY)


def _cluster(target: EgressTarget) -> Cluster:
    match target.resolution:
        case Resolution.ADDRESS:
            return original_dst(target.name)
        case Resolution.NAME:
            return _by_name(target)
        case Resolution.PATTERN:
            return _by_pattern(target)


def _by_name(target: EgressTarget) -> Cluster:
    address = Address(socket_address=SocketAddress(address=target.host, port_value=target.port))
    endpoint = LbEndpoint(endpoint=Endpoint(address=address), load_balancing_weight={"value": 100})
    return Cluster(
        name=target.name,
        alt_stat_name=in_statistics(target.name),
        cluster_type=Cluster.CustomClusterType(
            name="envoy.cluster.dns", typed_config=_look_ups(searched=target.searched)
        ),
        load_assignment=ClusterLoadAssignment(
            cluster_name=target.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        # A name that cannot be looked up must not keep the whole sidecar from starting.
        wait_for_warm_on_init={"value": False},
    )


@lru_cache(maxsize=2)
def _look_ups(*, searched: bool) -> AnyMessage:
    """As often as the answer's TTL says, and of the name as it stands.

    By default a sidecar asks every 5 s, and for a name with fewer than five dots it asks for each
    suffix of the pod's search list first.
    """
    look_ups = DnsCluster(dns_lookup_family=V4_ONLY, respect_dns_ttl=True)
    look_ups.dns_failure_refresh_rate.base_interval.CopyFrom(seconds(2))
    look_ups.dns_failure_refresh_rate.max_interval.CopyFrom(seconds(30))
    if not searched:
        resolver = CaresDnsResolverConfig()
        resolver.dns_resolver_options.no_default_search_domain = True
        look_ups.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
        look_ups.typed_dns_resolver_config.typed_config.CopyFrom(pack(resolver))
    return pack(look_ups)


def _by_pattern(target: EgressTarget) -> Cluster:
    return Cluster(
        name=target.name,
        alt_stat_name=in_statistics(target.name),
        lb_policy=Cluster.CLUSTER_PROVIDED,
        cluster_type=Cluster.CustomClusterType(
            name="envoy.clusters.dynamic_forward_proxy",
            # The options are about TLS that the sidecar would begin itself, which it never does.
            typed_config=pack(
                ClusterConfig(dns_cache_config=dns_cache(), allow_insecure_cluster_options=True)
            ),
        ),
    )
