"""What Towpath sends a sidecar of a mesh, as files for the contenders that send the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TypeVar

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

from bench.push.contenders import TOWPATH, Case, serving
from towpath.xds.service import SERVICE

Request = TypeVar("Request", DiscoveryRequest, DeltaDiscoveryRequest)

WITHIN_S = 300.0
OPTIONS = (("grpc.max_receive_message_length", -1),)


def capture(case: Case) -> None:
    """Write `a`, `b`, `first.delta`, `a.delta` and `b.delta` into the folder of *case*."""
    node = Node(id=case.mesh.nodes[0], user_agent_name="envoy")
    names = case.mesh.clusters if case.names else []
    with (
        serving(TOWPATH, replace(case, tls=None)) as towpath,
        grpc.insecure_channel(towpath.address, options=OPTIONS) as channel,
    ):
        sotw, delta = (
            _sotw(channel, node, case.type_url, names),
            _delta(channel, node, case.type_url, names),
        )
        (case.folder / "a").write_bytes(next(sotw))
        (case.folder / "first.delta").write_bytes(next(delta))
        for name in ("b", "a"):
            towpath.push()
            response = next(sotw)
            if name == "b":  # the first one is whole
                (case.folder / name).write_bytes(response)
            (case.folder / f"{name}.delta").write_bytes(next(delta))


def _sotw(
    channel: grpc.Channel, node: Node, type_url: str, names: Sequence[str]
) -> Iterator[bytes]:
    def acknowledge(data: bytes) -> DiscoveryRequest:
        told = DiscoveryResponse.FromString(data)
        return DiscoveryRequest(
            type_url=type_url,
            resource_names=names,
            version_info=told.version_info,
            response_nonce=told.nonce,
        )

    first = DiscoveryRequest(node=node, type_url=type_url, resource_names=names)
    return _responses(channel, "StreamAggregatedResources", first, acknowledge)


def _delta(
    channel: grpc.Channel, node: Node, type_url: str, names: Sequence[str]
) -> Iterator[bytes]:
    def acknowledge(data: bytes) -> DeltaDiscoveryRequest:
        told = DeltaDiscoveryResponse.FromString(data)
        return DeltaDiscoveryRequest(type_url=type_url, response_nonce=told.nonce)

    first = DeltaDiscoveryRequest(node=node, type_url=type_url, resource_names_subscribe=names)
    return _responses(channel, "DeltaAggregatedResources", first, acknowledge)


def _responses(
    channel: grpc.Channel,
    method: str,
    first: Request,
    acknowledge: Callable[[bytes], Request],
) -> Iterator[bytes]:
    """Each response as it comes, acknowledged."""
    requests: SimpleQueue[Request] = SimpleQueue()
    requests.put(first)
    call: grpc.StreamStreamMultiCallable[Request, bytes] = channel.stream_stream(
        f"/{SERVICE}/{method}", request_serializer=lambda one: one.SerializeToString()
    )
    for data in call(iter(requests.get, None), timeout=WITHIN_S):
        requests.put(acknowledge(data))
        yield data
