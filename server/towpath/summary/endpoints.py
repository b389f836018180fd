"""Endpoints: the addresses behind a cluster."""

from __future__ import annotations

from typing import Any

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from towpath.summary.layout import Block, address, share

_TRANSPORT = "envoy.transport_socket_match"


def endpoints(data: bytes) -> Block:
    """A line for each address."""
    message = ClusterLoadAssignment.FromString(data)
    return Block(f"endpoints {message.cluster_name}", tuple(hosts(message)) or ("none",))


def hosts(assignment: Any) -> list[str]:
    """The addresses, in order; weights are shown where they differ."""
    endpoints = [one for locality in assignment.endpoints for one in locality.lb_endpoints]
    weights = [one.load_balancing_weight.value for one in endpoints]
    return [
        address(one.endpoint.address) + share(weight, weights) + _mark(one)
        for one, weight in zip(endpoints, weights, strict=True)
    ]


def _mark(endpoint: Any) -> str:
    """What Envoy chooses the transport by."""
    metadata = endpoint.metadata.filter_metadata
    return " (mtls)" if _TRANSPORT in metadata and metadata[_TRANSPORT]["mtls"] else ""
