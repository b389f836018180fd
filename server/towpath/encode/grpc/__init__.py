"""The vocabulary of gRPC's own xDS clients: a listener under every name of a target, and one route
configuration, one cluster and one assignment, which have the name that sidecars know it by.

Knows nothing of who is connected. Begin with `listeners`. What these clients take:
https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md
"""

from towpath.encode.grpc.clusters import clusters
from towpath.encode.grpc.listeners import listeners
from towpath.encode.grpc.routes import routes
from towpath.encode.grpc.stand_ins import closed
from towpath.encode.grpc.vocabulary import GrpcVocabulary

__all__ = ["GrpcVocabulary", "closed", "clusters", "listeners", "routes"]
