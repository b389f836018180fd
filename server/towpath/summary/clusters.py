"""Clusters: how each finds its endpoints, and the limits that are set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2 import (
    CaresDnsResolverConfig,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from towpath.summary.endpoints import hosts
from towpath.summary.layout import ARROW, Block, duration
from towpath.summary.secrets import client_tls

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_UNLIMITED = 0xFFFFFFFF
_CONNECT_TIMEOUT_MS = 5000
"""Of Envoy, and of everything that no setting changes."""


def cluster(data: bytes) -> Block:
    """Name, type, endpoints that the cluster itself names, and what limits connections to it."""
    message = Cluster.FromString(data)
    parts = (
        f"cluster {message.name}",
        _type(message),
        *_look_ups(message),
        *_protocol(message),
        *_limits(message),
        *client_tls(message.transport_socket),
        *_by_mark(message),
    )
    return Block(", ".join(parts) + _endpoints(message))


def _type(message: Any) -> str:
    if message.HasField("cluster_type"):
        return str(message.cluster_type.name.rpartition(".")[2])
    return str(Cluster.DiscoveryType.Name(message.type)).lower()


def _endpoints(message: Any) -> str:
    if not message.HasField("load_assignment"):
        return ""
    return ARROW + (", ".join(hosts(message.load_assignment)) or "none")


def _look_ups(message: Any) -> Iterator[str]:
    """A name is looked up as it stands, unless this says something else."""
    look_ups = DnsCluster()
    if message.cluster_type.typed_config.Unpack(look_ups):
        resolver = CaresDnsResolverConfig()
        look_ups.typed_dns_resolver_config.typed_config.Unpack(resolver)
        if not resolver.dns_resolver_options.no_default_search_domain:
            yield "with the pod's search domains"


def _protocol(message: Any) -> Iterator[str]:
    """Whether the cluster can carry HTTP, and what limits that."""
    options = HttpProtocolOptions()
    if _HTTP not in message.typed_extension_protocol_options:
        return
    yield "http"
    message.typed_extension_protocol_options[_HTTP].Unpack(options)
    common = options.common_http_protocol_options
    if common.HasField("max_requests_per_connection"):
        yield f"max_requests_per_connection {common.max_requests_per_connection.value}"


def _by_mark(message: Any) -> Iterator[str]:
    """How endpoints are connected to that have certain metadata."""
    for one in message.transport_socket_matches:
        metadata = ", ".join(f"{name} {json.dumps(value)}" for name, value in one.match.items())
        for tls in client_tls(one.transport_socket):
            yield f"{tls} where {metadata}"


def _limits(message: Any) -> Iterator[str]:
    if message.HasField("connect_timeout"):
        timeout = message.connect_timeout
        if timeout.ToMilliseconds() != _CONNECT_TIMEOUT_MS:
            yield f"connect_timeout {duration(timeout)}"
    for threshold in message.circuit_breakers.thresholds:
        for name in _LIMITS:
            value = getattr(threshold, name).value
            if threshold.HasField(name) and value != _UNLIMITED:
                yield f"{name} {value}"
