"""The vocabulary of Pipy sidecars: one SidecarConfig for each, in the form of osm-edge's scripts.

What those scripts would let out although the Plan does not is withheld from them, and `withheld`
says what and why. It knows nothing of who is connected. Begin with `config`.
"""

from towpath.encode.pipy.config import access_and_chains, config, spec
from towpath.encode.pipy.egress import withheld
from towpath.encode.pipy.inbound import closed_to_policies, inbound
from towpath.encode.pipy.intersection import closed, intersection
from towpath.encode.pipy.outbound import cluster, outbound
from towpath.encode.pipy.vocabulary import VOCABULARY
from towpath_api.v1.sidecar_pb2 import ClusterConfig

__all__ = [
    "VOCABULARY",
    "ClusterConfig",
    "access_and_chains",
    "closed",
    "closed_to_policies",
    "cluster",
    "config",
    "inbound",
    "intersection",
    "outbound",
    "spec",
    "withheld",
]
