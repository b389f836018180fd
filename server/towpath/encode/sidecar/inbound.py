"""What a Pipy sidecar lets in."""

from __future__ import annotations

from towpath.encode.sidecar.config import ANYWHERE, part
from towpath.model.names import Protocol
from towpath.model.plan import Inbound, InboundPort
from towpath_api.v1.sidecar_pb2 import InboundMatch, SidecarConfig

WEIGHT = 100
ANY_PATH = ".*"
ANY_HOST = "*"


def inbound(let_in: Inbound) -> bytes:
    """The application's ports that are open; nothing at all if there are none."""
    message = SidecarConfig()
    for port in let_in.ports:
        match = _http(port) if port.protocol is Protocol.HTTP else _tcp(port)
        message.inbound.traffic_matches[port.port].CopyFrom(match)
        local = message.inbound.clusters_configs[_local(port)]
        local.weights[f"127.0.0.1:{port.port}"] = WEIGHT
    return part(message)


def _http(port: InboundPort) -> InboundMatch:
    """The port has chosen the application, so any Host header will do.

    The scripts look at a request under the host `*` where its client's address is in a range.
    """
    rule = port.services[0]
    match = InboundMatch(port=port.port, protocol=Protocol.HTTP)
    match.source_ip_ranges[ANYWHERE].SetInParent()
    match.http_host_port2_service[ANY_HOST] = rule
    route = match.http_service_route_rules[rule].route_rules.add(path=ANY_PATH, type="Regex")
    route.target_clusters[_local(port)] = WEIGHT
    return match


def _tcp(port: InboundPort) -> InboundMatch:
    match = InboundMatch(port=port.port, protocol=Protocol.TCP)
    match.tcp_service_route_rules.target_clusters[_local(port)] = WEIGHT
    return match


def _local(port: InboundPort) -> str:
    """The cluster of the application's own port, under the name of its first service."""
    return f"{port.services[0]}|{port.port}|local"
