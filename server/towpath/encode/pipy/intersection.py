"""What stands in for a configuration that a Pipy sidecar rejected: never more than it lets through.

A sidecar keeps what it held when it rejects what follows. That may let through what the new one
takes away, so the sidecar is sent what both let through, made of what it held; and if it rejects
that too, what lets nothing through.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.pack import unpack
from towpath.encode.pipy.config import chains, config, part, spec
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Protocol
from towpath.model.snapshot import Resource
from towpath.model.types import SIDECAR
from towpath_api.v1.sidecar_pb2 import (
    ClusterConfig,
    InboundPolicy,
    OutboundHttpRules,
    OutboundMatch,
    OutboundPolicy,
    SidecarConfig,
)


def closed(type_url: str, name: str) -> Resource | None:
    """The configuration of that sidecar that lets nothing through."""
    if type_url != SIDECAR:
        return None
    return config(name, spec(MeshConfig(), passthrough=False), chains())


def intersection(before: Resource, after: Resource) -> Resource | None:
    """What both let through (the meet); None if it cannot be said."""
    if before == after:
        return before
    old, new = SidecarConfig(), SidecarConfig()
    if not (unpack(before).Unpack(old) and unpack(after).Unpack(new)):
        return None
    if old.chains != new.chains or old.forward != new.forward:
        return None
    met = SidecarConfig()
    met.CopyFrom(old)
    traffic = met.spec.traffic
    traffic.enable_egress = traffic.enable_egress and new.spec.traffic.enable_egress
    for address in [key for key in met.allowed_endpoints if key not in new.allowed_endpoints]:
        del met.allowed_endpoints[address]
    _intersect_inbound(met.inbound, new.inbound)
    if not met.inbound.ByteSize():
        met.ClearField("inbound")
    _intersect_outbound(met.outbound, new.outbound, passthrough=traffic.enable_egress)
    if not met.outbound.ByteSize():
        met.ClearField("outbound")
    if met == old:
        return before
    packed = AnyMessage(type_url=SIDECAR, value=part(met))
    return Resource.of(SIDECAR, after.name, packed.SerializeToString(deterministic=True))


def _intersect_inbound(met: InboundPolicy, new: InboundPolicy) -> None:
    """A port that is not there is closed."""
    for port, match in list(met.traffic_matches.items()):
        if port not in new.traffic_matches or match != new.traffic_matches[port]:
            del met.traffic_matches[port]
    for name, cluster in list(met.clusters_configs.items()):
        if name not in new.clusters_configs or cluster != new.clusters_configs[name]:
            del met.clusters_configs[name]


def _intersect_outbound(met: OutboundPolicy, new: OutboundPolicy, *, passthrough: bool) -> None:
    """The new matches: each as it was, or closed, so that none of their addresses falls to others.

    A port without matches is closed already, unless *passthrough* opens it.
    """
    clusters = dict(_clusters(met, new))
    held = {port: list(matches.values) for port, matches in met.traffic_matches.items()}
    met.Clear()
    for port, matches in new.traffic_matches.items():
        both = [_both(match, held.get(port, ()), clusters) for match in matches.values]
        if passthrough or any(map(_opens, both)):
            met.traffic_matches[port].values.extend(both)
    for name, cluster in clusters.items():
        met.clusters_configs[name].CopyFrom(cluster)


def _clusters(held: OutboundPolicy, new: OutboundPolicy) -> Iterable[tuple[str, ClusterConfig]]:
    """The clusters of both, with the endpoints of both; none without endpoints."""
    for name, cluster in held.clusters_configs.items():
        if name not in new.clusters_configs:
            continue
        wanted = new.clusters_configs[name].endpoints
        both = ClusterConfig()
        both.CopyFrom(cluster)
        for endpoint in [key for key in both.endpoints if key not in wanted]:
            del both.endpoints[endpoint]
        if both.endpoints:
            yield name, both


def _both(
    match: OutboundMatch, held: Iterable[OutboundMatch], clusters: dict[str, ClusterConfig]
) -> OutboundMatch:
    """What *match* lets through that the one of *held* with the same addresses does too."""
    for before in held:
        if _key(before) != _key(match):
            continue
        if match.protocol == Protocol.HTTP:
            return _both_http(match, before, clusters)
        if (
            before == match
            and match.tcp_service_route_rules.target_clusters.keys() <= clusters.keys()
        ):
            return match
    return _closed(match)


def _both_http(
    match: OutboundMatch, before: OutboundMatch, clusters: dict[str, ClusterConfig]
) -> OutboundMatch:
    both = _closed(match)
    for host, service in match.http_host_port2_service.items():
        if before.http_host_port2_service.get(host) == service:
            both.http_host_port2_service[host] = service
    for service, rules in match.http_service_route_rules.items():
        known = before.http_service_route_rules.get(service, OutboundHttpRules()).route_rules
        kept = [
            rule
            for rule in rules.route_rules
            if rule in known and rule.target_clusters.keys() <= clusters.keys()
        ]
        if kept:
            both.http_service_route_rules[service].CopyFrom(rules)
            del both.http_service_route_rules[service].route_rules[:]
            both.http_service_route_rules[service].route_rules.extend(kept)
    return both


def _closed(match: OutboundMatch) -> OutboundMatch:
    """HTTP to no host at all: with passthrough on, what is closed for bytes would go through."""
    closed_match = OutboundMatch(port=match.port, protocol=Protocol.HTTP)
    if match.HasField("destination_ip_ranges"):
        closed_match.destination_ip_ranges.CopyFrom(match.destination_ip_ranges)
    return closed_match


def _opens(match: OutboundMatch) -> bool:
    return match.protocol != Protocol.HTTP or bool(match.http_service_route_rules)


def _key(match: OutboundMatch) -> tuple[str, tuple[str, ...] | None]:
    """Protocol, and ranges (None: whatever no range of another match holds)."""
    if not match.HasField("destination_ip_ranges"):
        return match.protocol, None
    return match.protocol, tuple(sorted(match.destination_ip_ranges.ranges))
