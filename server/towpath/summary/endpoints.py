"""Endpoints: the addresses behind a cluster."""

from __future__ import annotations

from typing import Any

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from towpath.summary.layout import Block, address, share


def endpoints(data: bytes) -> Block:
    """A line for each address."""
    message = ClusterLoadAssignment.FromString(data)
    return Block(f"endpoints {message.cluster_name}", tuple(hosts(message)) or ("none",))


def hosts(assignment: Any) -> list[str]:
    """The addresses, in order; weights are shown where they differ."""
    endpoints = [one for locality in assignment.endpoints for one in locality.lb_endpoints]
    weights = [one.load_balancing_weight.value for one in endpoints]
    return [
        address(one.endpoint.address) + share(weight, weights)
        for one, weight in zip(endpoints, weights, strict=True)
    ]
