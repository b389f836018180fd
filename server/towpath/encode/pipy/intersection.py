"""What stands in for a configuration that a Pipy sidecar rejected: never more than it lets through.

A sidecar keeps what it held when it rejects what follows. That may let through what the new one
takes away, so the sidecar is sent what both let through, made of what it held; and if it rejects
that too, what lets nothing through.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from towpath.encode.pack import resource, unpack
from towpath.encode.pipy.config import chains, config, spec
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
    result = deepcopy(old)
    traffic = result.spec.traffic
    traffic.enable_egress = traffic.enable_egress and new.spec.traffic.enable_egress
    for address in [key for key in result.allowed_endpoints if key not in new.allowed_endpoints]:
        del result.allowed_endpoints[address]
    _intersect_inbound(result.inbound, new.inbound)
    if not result.inbound.ByteSize():
        result.ClearField("inbound")
    _intersect_outbound(result.outbound, new.outbound, passthrough=traffic.enable_egress)
    if not result.outbound.ByteSize():
        result.ClearField("outbound")
    if result == old:
        return before
    return resource(after.name, result)


def _intersect_inbound(result: InboundPolicy, new: InboundPolicy) -> None:
    """A port that is not there is closed."""
    for port, match in list(result.traffic_matches.items()):
        if port not in new.traffic_matches or match != new.traffic_matches[port]:
            del result.traffic_matches[port]
    for name, cluster in list(result.clusters_configs.items()):
        if name not in new.clusters_configs or cluster != new.clusters_configs[name]:
            del result.clusters_configs[name]


def _intersect_outbound(result: OutboundPolicy, new: OutboundPolicy, *, passthrough: bool) -> None:
    """The new matches: each as it was, or closed, so that none of their addresses falls to others.

    A port without matches is closed already, unless *passthrough* opens it.
    """
    clusters = dict(_clusters(result, new))
    matches_before = {
        port: list(matches.values) for port, matches in result.traffic_matches.items()
    }
    result.Clear()
    for port, matches in new.traffic_matches.items():
        both = [_both(match, matches_before.get(port, ()), clusters) for match in matches.values]
        if passthrough or any(map(_opens, both)):
            result.traffic_matches[port].values.extend(both)
    for name, cluster in clusters.items():
        result.clusters_configs[name].CopyFrom(cluster)


def _clusters(old: OutboundPolicy, new: OutboundPolicy) -> Iterable[tuple[str, ClusterConfig]]:
    """The clusters of both, with the endpoints of both; none without endpoints."""
    for name, cluster in old.clusters_configs.items():
        if name not in new.clusters_configs:
            continue
        wanted = new.clusters_configs[name].endpoints
        both = deepcopy(cluster)
        for endpoint in [key for key in both.endpoints if key not in wanted]:
            del both.endpoints[endpoint]
        if both.endpoints:
            yield name, both


def _both(
    match: OutboundMatch, candidates: Iterable[OutboundMatch], clusters: dict[str, ClusterConfig]
) -> OutboundMatch:
    """What *match* lets through that the one of *held* with the same addresses does too."""
    for before in candidates:
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
        rules_before = before.http_service_route_rules.get(service, OutboundHttpRules()).route_rules
        kept = [
            rule
            for rule in rules.route_rules
            if rule in rules_before and rule.target_clusters.keys() <= clusters.keys()
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
