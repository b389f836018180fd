"""What a Pipy sidecar lets out: in-mesh destinations, and what policies open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from towpath.encode.pipy.config import part
from towpath.encode.pipy.egress import judgements
from towpath.encode.pipy.inbound import WEIGHT
from towpath.encode.pipy.regex import ANY_WITH_QUERY
from towpath.model.egress import ConnectionSettings
from towpath.model.egress_plan import EgressTarget
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Endpoint, Outbound
from towpath_api.v1.sidecar_pb2 import (
    ClusterConfig,
    ClusterConnectionSettings,
    ClusterEndpoint,
    HttpConnectionSettings,
    OutboundMatch,
    SidecarConfig,
    TcpConnectionSettings,
)

_UNNAMED = "undefined"
"""Under which the scripts look for rules if a request's Host is not among those of the match: in
the mesh the dialled address has chosen the service, whatever the Host.
"""


def outbound(let_out: Outbound, clusters: Mapping[str, ClusterConfig]) -> bytes:
    """Matches by port, and clusters: *clusters* are the in-mesh ones, by name."""
    in_mesh: dict[int, list[OutboundMatch]] = {}
    refused = (_match(one.port, Protocol.HTTP, one.addresses) for one in let_out.refused)
    for match in (*_in_mesh(let_out.destinations), *refused):
        in_mesh.setdefault(match.port, []).append(match)
    opened: dict[int, list[OutboundMatch]] = {}
    used: set[str] = set()
    for number, judged in judgements(let_out):
        used |= judged.targets
        if judged.match is not None:
            opened.setdefault(number, []).append(judged.match)
    message = SidecarConfig()
    for number in sorted(in_mesh.keys() | opened.keys()):
        matches = _in_order(in_mesh.get(number, []), opened.get(number, []))
        message.outbound.traffic_matches[number].values.extend(matches)
    settings = {one.name: one.settings for one in let_out.destinations}
    for name, cluster in clusters.items():
        config = message.outbound.clusters_configs[name]
        config.CopyFrom(cluster)
        if settings[name] != ConnectionSettings():
            config.connection_settings.CopyFrom(_settings(settings[name]))
    for target in let_out.egress.targets:
        if target.name in used:
            message.outbound.clusters_configs[target.name].CopyFrom(_target(target))
    return part(message)


def cluster(behind: Iterable[Endpoint]) -> ClusterConfig:
    """The endpoints of one in-mesh destination."""
    return ClusterConfig(
        endpoints={f"{e.address}:{e.port}": ClusterEndpoint(weight=WEIGHT) for e in behind}
    )


def _in_mesh(destinations: Iterable[Destination]) -> Iterable[OutboundMatch]:
    """A match for each destination; one for all of a port that are dialled directly.

    The scripts take two matches of which one's addresses are among the other's for one match.
    """
    direct: dict[int, set[str]] = {}
    for destination in destinations:
        if not destination.addresses:
            continue
        if destination.direct:
            direct.setdefault(destination.port, set()).update(destination.addresses)
        elif destination.protocol is Protocol.HTTP:
            yield _http(destination)
        else:
            # With passthrough on, bytes without a target would go out; HTTP to no host does not.
            speaks = Protocol.TCP if shares(destination) else Protocol.HTTP
            match = _match(destination.port, speaks, destination.addresses)
            for name, weight in shares(destination):
                match.tcp_service_route_rules.target_clusters[name] = weight
            yield match
    for port, addresses in direct.items():
        match = _match(port, Protocol.TCP, addresses)
        match.tcp_service_route_rules.allowed_egress_traffic = True
        yield match


def _http(destination: Destination) -> OutboundMatch:
    match = _match(destination.port, Protocol.HTTP, destination.addresses)
    service = f"{destination.service}.{destination.namespace}"
    rule = f"{service}.svc.cluster.local"
    names = (destination.service, service, f"{service}.svc", f"{service}.svc.cluster", rule)
    for name in (*names, *destination.addresses):
        match.http_host_port2_service[name] = rule
        match.http_host_port2_service[f"{name}:{destination.port}"] = rule
    for key in (rule, _UNNAMED):
        route = match.http_service_route_rules[key].route_rules.add(
            path=ANY_WITH_QUERY, type="Regex"
        )
        for name, weight in shares(destination):
            route.target_clusters[name] = weight
    return match


def shares(destination: Destination) -> tuple[tuple[str, int], ...]:
    """The clusters among which all is divided: what a conditional split is about is not told from
    the rest, which `withheld` says.
    """
    if not destination.branches:
        return ((destination.name, WEIGHT),)
    return destination.branches[-1].shares


def _match(port: int, protocol: Protocol, addresses: Iterable[str]) -> OutboundMatch:
    match = OutboundMatch(port=port, protocol=protocol)
    for address in addresses:
        match.destination_ip_ranges.ranges[f"{address}/32"].SetInParent()
    return match


def _in_order(in_mesh: list[OutboundMatch], opened: list[OutboundMatch]) -> Iterable[OutboundMatch]:
    """Those of any address first; of the others the first that holds the address decides."""
    anywhere = [match for match in opened if not match.HasField("destination_ip_ranges")]
    within = [match for match in opened if match.HasField("destination_ip_ranges")]
    return (
        *anywhere,
        *sorted(in_mesh, key=lambda match: sorted(match.destination_ip_ranges.ranges)),
        *reversed(within),
    )


def _target(target: EgressTarget) -> ClusterConfig:
    """A host outside, under the name by which DNS knows it."""
    address = f"{target.host}:{target.port}"
    config = ClusterConfig(endpoints={address: ClusterEndpoint(weight=WEIGHT)})
    if target.settings != ConnectionSettings():
        config.connection_settings.CopyFrom(_settings(target.settings))
    return config


def _settings(settings: ConnectionSettings) -> ClusterConnectionSettings:
    tcp = TcpConnectionSettings(
        max_connections=settings.max_connections, connect_timeout=settings.connect_timeout
    )
    http = HttpConnectionSettings(
        max_requests=settings.max_requests,
        max_requests_per_connection=settings.max_requests_per_connection,
        max_pending_requests=settings.max_pending_requests,
        max_retries=settings.max_retries,
    )
    # A message of which nothing is set has no bytes.
    return ClusterConnectionSettings(
        tcp=tcp if tcp.ByteSize() else None, http=http if http.ByteSize() else None
    )
