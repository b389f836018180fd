"""The vocabulary of Envoy sidecars: listeners, clusters and routes, a file for each.

Knows nothing of who is connected. Begin with `listeners`; those for egress are in `egress_…`, and
`vocabulary` has what stands in for a resource that is gone or blocked.
"""

from towpath.encode.envoy.clusters import (
    called_as,
    common_clusters,
    inbound_clusters,
    mtls_cluster,
    outbound_clusters,
)
from towpath.encode.envoy.egress_chains import Chains, egress_chains
from towpath.encode.envoy.egress_clusters import egress_clusters
from towpath.encode.envoy.egress_routes import egress_routes, revoked
from towpath.encode.envoy.intersection import intersection
from towpath.encode.envoy.listeners import inbound_listener, outbound_listener, prometheus_listener
from towpath.encode.envoy.routes import inbound_routes, outbound_routes, retried_routes
from towpath.encode.envoy.secrets import certificate, trust_of_client, trust_of_server
from towpath.encode.envoy.stand_ins import closed
from towpath.encode.envoy.vocabulary import EnvoyVocabulary

__all__ = [
    "Chains",
    "EnvoyVocabulary",
    "called_as",
    "certificate",
    "closed",
    "common_clusters",
    "egress_chains",
    "egress_clusters",
    "egress_routes",
    "inbound_clusters",
    "inbound_listener",
    "inbound_routes",
    "intersection",
    "mtls_cluster",
    "outbound_clusters",
    "outbound_listener",
    "outbound_routes",
    "prometheus_listener",
    "retried_routes",
    "revoked",
    "trust_of_client",
    "trust_of_server",
]
