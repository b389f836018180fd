"""The SidecarConfig of a Pipy sidecar: what it lets in and out, by port, and where to.

A field that has no form of its own here is shown by its name, with its value as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from towpath.summary.layout import ARROW, Block, columns, indented, share
from towpath_api.v1.sidecar_pb2 import (
    ClusterConfig,
    InboundHttpRoute,
    InboundMatch,
    InboundPolicy,
    OutboundHttpRoute,
    OutboundMatch,
    OutboundPolicy,
    SidecarConfig,
    SidecarSpec,
)

DIALLED = "the address that was dialled"
_COMPARED = {"Regex": "~", "Exact": "=", "Prefix": "begins with"}


def sidecar(data: bytes) -> Block:
    """The switches, each port in both directions, the clusters, and the sidecar's modules."""
    config = SidecarConfig.FromString(data)
    lines = (
        *_switches(config.spec),
        *(f"clients {source} ({who})" for source, who in sorted(config.allowed_endpoints.items())),
        *_inbound(config.inbound),
        *_outbound(config.outbound),
        *_modules(config),
        *_others(config, "name spec inbound outbound allowed_endpoints chains"),
    )
    return Block(f"sidecar {config.name}", lines)


def _switches(spec: SidecarSpec) -> Iterator[str]:
    yield f"egress passthrough {'on' if spec.traffic.enable_egress else 'off'}"
    yield f"log level {spec.sidecar_log_level}, timeout {spec.sidecar_timeout}s"
    yield from _others(spec, "sidecar_log_level sidecar_timeout traffic feature_flags probes")
    yield from _others(spec.traffic, "enable_egress")
    yield from _others(spec.feature_flags)
    yield from _others(spec.probes)


def _modules(config: SidecarConfig) -> Iterator[str]:
    for chain, modules in sorted(config.chains.items()):
        prefix = f"modules/{chain.partition('-')[0]}-"
        names = (path.removeprefix(prefix).removesuffix(".js") for path in modules.values)
        yield f"chain {chain}: {', '.join(names)}"


def _inbound(policy: InboundPolicy) -> Iterator[str]:
    for _, match in sorted(policy.traffic_matches.items()):
        sources = ", ".join(
            " ".join((source, *_others(security)))
            for source, security in sorted(match.source_ip_ranges.items())
        )
        only = ", ".join(sorted(match.allowed_endpoints))
        sources += only and f"; for {only} alone"
        yield f"inbound port {match.port}, {match.protocol}{sources and f', from {sources}'}"
        yield from indented(_tcp(match, match.tcp_service_route_rules.target_clusters))
        yield from indented(_http(match))
        yield from indented(_others(match, f"{_MATCH} source_ip_ranges allowed_endpoints"))
    for name, endpoints in sorted(policy.clusters_configs.items()):
        yield f"inbound cluster {name}{ARROW}{_weighted(endpoints.weights)}"


def _outbound(policy: OutboundPolicy) -> Iterator[str]:
    for _, matches in sorted(policy.traffic_matches.items()):
        for match in matches.values:
            yield f"outbound port {match.port}, {match.protocol}{_destinations(match)}"
            yield from indented(_tcp(match, _targets(match)))
            yield from indented(_http(match))
            yield from indented(_others(match, f"{_MATCH} destination_ip_ranges"))
    for name, cluster in sorted(policy.clusters_configs.items()):
        weights = {
            " ".join((host, *_others(endpoint, "weight"))): endpoint.weight
            for host, endpoint in cluster.endpoints.items()
        }
        parts = (f"outbound cluster {name}", *_limits(cluster))
        yield f"{', '.join(parts)}{ARROW}{_weighted(weights)}"


_MATCH = "port protocol http_host_port2_service http_service_route_rules tcp_service_route_rules"


def _destinations(match: OutboundMatch) -> str:
    if not match.HasField("destination_ip_ranges"):
        return ""
    ranges = sorted(match.destination_ip_ranges.ranges.items())
    shown = (" ".join((cidr, *_others(security))) for cidr, security in ranges)
    return f", to {', '.join(shown) or 'no address'}"


def _targets(match: OutboundMatch) -> Mapping[str, int]:
    """Where connections go that are not HTTP."""
    rules = match.tcp_service_route_rules
    if rules.allowed_egress_traffic and not rules.target_clusters:
        return {DIALLED: 100}
    return rules.target_clusters


def _tcp(match: InboundMatch | OutboundMatch, targets: Mapping[str, int]) -> Iterator[str]:
    if match.HasField("tcp_service_route_rules"):
        rules = _others(match.tcp_service_route_rules, "target_clusters allowed_egress_traffic")
        yield "; ".join((f"tcp{ARROW}{_weighted(targets)}", *rules))


def _http(match: InboundMatch | OutboundMatch) -> Iterator[str]:
    """Each rule with the hosts that lead to it, and its routes in the order of their trial."""
    hosts: dict[str, list[str]] = {name: [] for name in match.http_service_route_rules}
    for host, name in sorted(match.http_host_port2_service.items()):
        hosts.setdefault(name, []).append(host)
    for name in sorted(hosts):
        yield f"rule {name}, host {', '.join(hosts[name]) or 'none'}"
        if name not in match.http_service_route_rules:
            continue
        rules = match.http_service_route_rules[name]
        rows = [
            (_condition(route), f"-> {_weighted(route.target_clusters)}")
            for route in rules.route_rules
        ]
        yield from indented(columns(rows) or ["no route"])
        yield from indented(_others(rules, "route_rules"))


def _condition(route: InboundHttpRoute | OutboundHttpRoute) -> str:
    conditions = [f"path {_COMPARED.get(route.type, route.type)} {route.path}"]
    if route.methods:
        conditions.append(f"method {', '.join(route.methods)}")
    conditions += [f"{name} ~ {value}" for name, value in sorted(route.headers.items())]
    conditions += _others(route, "path type methods headers target_clusters")
    return "; ".join(conditions)


def _weighted(weights: Mapping[str, int]) -> str:
    shares = weights.values()
    return ", ".join(f"{n}{share(w, shares)}" for n, w in sorted(weights.items())) or "nothing"


def _limits(cluster: ClusterConfig) -> Iterator[str]:
    settings = cluster.connection_settings
    yield from _others(settings.tcp)
    yield from _others(settings.http)
    yield from _others(cluster, "endpoints connection_settings")


def _others(message: Message, shown: str = "") -> Iterator[str]:
    """`name value` of each field that is set and not among those *shown*, as JSON."""
    for name, value in MessageToDict(message, preserving_proto_field_name=True).items():
        if name not in shown.split():
            yield f"{name} {json.dumps(value)}"
