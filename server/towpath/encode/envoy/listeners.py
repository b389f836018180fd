"""Listeners: which connections a sidecar catches, and which chain of filters gets them."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import Address, CidrRange, SocketAddress
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.message import Message

from towpath.encode.envoy import names
from towpath.encode.envoy.access_log import connection_log
from towpath.encode.envoy.egress_chains import egress_chains
from towpath.encode.envoy.filters import http_by_rds, http_with, tcp_proxy
from towpath.encode.envoy.routes import prometheus_routes
from towpath.encode.pack import pack, resource, seconds
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Inbound, InboundPort, Outbound
from towpath.model.snapshot import Layer
from towpath.model.ways import PASSTHROUGH

INSPECTION_SECONDS = 1.0
"""How long a listener waits for a client's first bytes before it goes on without them."""


def outbound_listener(plan: Outbound) -> Layer:
    """The listener that every outgoing connection is redirected to.

    None at all when nothing is allowed out: then a connection is refused at once, as curl says
    with exit code 7. A listener without chains would be rejected, and the old one would stay.
    """
    if not plan.destinations and not plan.ways.ports and not plan.passthrough:
        return Layer()
    listener = _transparent(
        names.OUTBOUND_LISTENER, names.OUTBOUND_PORT, server_first=_silent_ports(plan)
    )
    listener.traffic_direction = TrafficDirection.OUTBOUND
    # A connection to the listener's own port would make the sidecar dial itself without end.
    guard = FilterChainMatch(destination_port={"value": names.OUTBOUND_PORT})
    listener.filter_chains.append(FilterChain(name=names.SELF_LOOP_GUARD, filter_chain_match=guard))
    listener.filter_chains.extend(_outbound_chain(d) for d in plan.destinations)
    listener.filter_chains.extend(egress_chains(plan.ways))
    if plan.passthrough:
        listener.default_filter_chain.CopyFrom(
            FilterChain(
                name=names.PASSTHROUGH_CHAIN,
                filters=[tcp_proxy(PASSTHROUGH, PASSTHROUGH)],
            )
        )
    return Layer((resource(names.OUTBOUND_LISTENER, listener),))


def inbound_listener(plan: Inbound) -> Layer:
    """The listener that every incoming connection is redirected to; none without open ports."""
    if not plan.ports:
        return Layer()
    listener = _transparent(
        names.INBOUND_LISTENER,
        names.INBOUND_PORT,
        server_first=_server_first((p.protocol, p.port) for p in plan.ports),
    )
    listener.traffic_direction = TrafficDirection.INBOUND
    listener.filter_chains.extend(_inbound_chain(p) for p in plan.ports)
    return Layer((resource(names.INBOUND_LISTENER, listener),))


def prometheus_listener() -> Layer:
    """The listener where Prometheus reads the sidecar's own statistics."""
    listener = Listener(
        name=names.PROMETHEUS_LISTENER,
        address=ipv4_address("0.0.0.0", names.PROMETHEUS_PORT),
        filter_chains=[FilterChain(filters=[http_with("prometheus", prometheus_routes())])],
    )
    return Layer((resource(names.PROMETHEUS_LISTENER, listener),))


def _outbound_chain(destination: Destination) -> FilterChain:
    name = names.outbound_chain(destination)
    match = FilterChainMatch(
        destination_port={"value": destination.port},
        prefix_ranges=[_host(address) for address in destination.addresses],
    )
    if destination.protocol is Protocol.HTTP:
        action = http_by_rds(name, names.outbound_routes_of(destination))
    else:
        action = tcp_proxy(name, destination.name)
    return FilterChain(name=name, filter_chain_match=match, filters=[action])


def _inbound_chain(port: InboundPort) -> FilterChain:
    name = names.inbound_chain(port)
    match = FilterChainMatch(destination_port={"value": port.port})
    return FilterChain(name=name, filter_chain_match=match, filters=[_inbound_filter(name, port)])


def _inbound_filter(name: str, port: InboundPort) -> Filter:
    if port.protocol is Protocol.HTTP:
        return http_by_rds(name, names.inbound_routes_of(port))
    return tcp_proxy(name, names.local_cluster(port))


def _transparent(name: str, port: int, *, server_first: tuple[int, ...]) -> Listener:
    """A listener for redirected connections, with every inspector that a match may need.

    Listener-level fields stay the same as long as *server_first* does: a change of chains alone
    leaves the other chains' connections untouched, any other change drains the whole listener.
    """
    off = _predicate(server_first)
    return Listener(
        name=name,
        address=ipv4_address("0.0.0.0", port),
        listener_filters=[
            _listener_filter("original_dst", OriginalDst()),
            _listener_filter("tls_inspector", TlsInspector(), disabled=off),
            _listener_filter("http_inspector", HttpInspector(), disabled=off),
        ],
        listener_filters_timeout=seconds(INSPECTION_SECONDS),
        continue_on_listener_filters_timeout=True,
        access_log=[connection_log()],
    )


def _listener_filter(
    kind: str, config: Message, *, disabled: ListenerFilterChainMatchPredicate | None = None
) -> ListenerFilter:
    return ListenerFilter(
        name=f"envoy.filters.listener.{kind}", typed_config=pack(config), filter_disabled=disabled
    )


def _silent_ports(plan: Outbound) -> tuple[int, ...]:
    """Ports where the client may say nothing first, and no chain needs to hear it."""
    inspected = {port.number for port in plan.ways.ports if not port.server_first}
    of_policies = {port.number for port in plan.ways.ports if port.server_first}
    of_services = _server_first((d.protocol, d.port) for d in plan.destinations)
    return tuple(sorted((of_policies | set(of_services)) - inspected))


def _server_first(ports: Iterable[tuple[Protocol, int]]) -> tuple[int, ...]:
    return tuple(
        sorted({port for protocol, port in ports if protocol is Protocol.TCP_SERVER_FIRST})
    )


def _predicate(ports: tuple[int, ...]) -> ListenerFilterChainMatchPredicate | None:
    """«The destination port is one of these»; Envoy refuses an or_match of a single rule."""
    rules = [
        ListenerFilterChainMatchPredicate(
            destination_port_range=Int32Range(start=port, end=port + 1)
        )
        for port in ports
    ]
    if len(rules) < 2:
        return rules[0] if rules else None
    match_set = ListenerFilterChainMatchPredicate.MatchSet(rules=rules)
    return ListenerFilterChainMatchPredicate(or_match=match_set)


def ipv4_address(host: str, port: int) -> Address:
    """An address of TCP."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _host(address: str) -> CidrRange:
    return CidrRange(address_prefix=address, prefix_len={"value": 32})
