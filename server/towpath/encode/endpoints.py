"""Endpoints: the addresses behind one cluster, the same for every kind of client."""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.endpoint.v3 import endpoint_components_pb2 as components
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.struct_pb2 import Struct

from towpath.encode.pack import resource
from towpath.model.plan import Endpoint
from towpath.model.snapshot import Resource

_TRANSPORT = "envoy.transport_socket_match"
"""The metadata by which Envoy chooses how to connect to an endpoint."""


def mark() -> Struct:
    """What is said of an endpoint that takes mutual TLS."""
    metadata = Struct()
    metadata.update({"mtls": True})
    return metadata


def load_assignment(cluster: str, endpoints: tuple[Endpoint, ...]) -> Resource:
    """The endpoints of *cluster*, all in one locality; an empty list is an answer too."""
    assignment = ClusterLoadAssignment(cluster_name=cluster)
    if endpoints:
        locality = components.LocalityLbEndpoints(
            locality=base_pb2.Locality(region="local"),
            # Envoy does not need the weight; gRPC clients silently drop a locality without it.
            load_balancing_weight={"value": 1},
            lb_endpoints=[_endpoint(endpoint) for endpoint in endpoints],
        )
        assignment.endpoints.append(locality)
    return resource(cluster, assignment)


def _endpoint(endpoint: Endpoint) -> components.LbEndpoint:
    address = SocketAddress(address=endpoint.address, port_value=endpoint.port)
    host = components.Endpoint(address=Address(socket_address=address))
    described = components.LbEndpoint(endpoint=host)
    if endpoint.mtls:
        described.metadata.filter_metadata[_TRANSPORT].CopyFrom(mark())
    return described
