"""What stands in for a resource that is absent, or must not be sent."""

from __future__ import annotations

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from towpath.encode.pack import resource
from towpath.model.snapshot import Resource
from towpath.model.types import ENDPOINTS


def closed(type_url: str, name: str) -> Resource | None:
    """The resource of that name that lets nothing through; None for a type that has none."""
    if type_url == ENDPOINTS:
        return resource(name, ClusterLoadAssignment(cluster_name=name))
    return None
