"""Clusters: the endpoints of a target, each in its turn."""

from __future__ import annotations

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from towpath.encode.pack import ads, resource
from towpath.encode.unlimited import UNLIMITED
from towpath.model.plan import ProxylessTarget, ProxylessTargets
from towpath.model.snapshot import Layer, Resource


def clusters(targets: ProxylessTargets) -> Layer:
    """One cluster for each target."""
    return Layer(tuple(_cluster(target) for target in targets))


def _cluster(target: ProxylessTarget) -> Resource:
    # The clients' own default of 1,024 calls at once would be a limit that nobody asked for:
    # https://github.com/grpc/proposal/blob/master/A32-xds-circuit-breaking.md
    most = UNLIMITED if target.max_requests is None else target.max_requests
    thresholds = CircuitBreakers.Thresholds(max_requests={"value": most})
    cluster = Cluster(
        name=target.name,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ads()),
        lb_policy=Cluster.ROUND_ROBIN,
        circuit_breakers=CircuitBreakers(thresholds=[thresholds]),
    )
    return resource(target.name, cluster)
