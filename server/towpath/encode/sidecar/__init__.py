"""The vocabulary of Pipy sidecars: one SidecarConfig for each, in the form of osm-edge's scripts.

What those scripts would let out although the Plan does not is withheld from them, and `withheld`
says what and why.
"""

from towpath.encode.sidecar.config import config, doors, spec
from towpath.encode.sidecar.egress import withheld
from towpath.encode.sidecar.inbound import inbound
from towpath.encode.sidecar.intersection import closed, intersection
from towpath.encode.sidecar.outbound import cluster, outbound
from towpath.encode.sidecar.vocabulary import VOCABULARY
from towpath_api.v1.sidecar_pb2 import ClusterConfig

__all__ = [
    "VOCABULARY",
    "ClusterConfig",
    "closed",
    "cluster",
    "config",
    "doors",
    "inbound",
    "intersection",
    "outbound",
    "spec",
    "withheld",
]
