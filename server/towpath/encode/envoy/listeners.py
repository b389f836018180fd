"""Listeners: which connections a sidecar catches, and which chain of filters gets them."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import Address, CidrRange, SocketAddress
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
)
from envoy.config.listener.v3.listener_pb2 import Listener

from towpath.encode.envoy import names
from towpath.encode.envoy.access_log import connection_log, connection_report
from towpath.encode.envoy.egress_chains import Chains, egress_chains
from towpath.encode.envoy.filters import http_by_rds, http_with, tcp_proxy, tcp_proxy_to
from towpath.encode.envoy.inbound_http import http_inbound
from towpath.encode.envoy.inspection import (
    asks,
    inspectors,
    original_dst,
    port_of,
    tls_inspector,
)
from towpath.encode.envoy.limits import connection_limit
from towpath.encode.envoy.outbound_refusal import refuse_requests
from towpath.encode.envoy.routes import prometheus_routes
from towpath.encode.envoy.tls import ALPN, server_socket
from towpath.encode.pack import resource, seconds
from towpath.model.egress_plan import PASSTHROUGH
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Inbound, InboundPort, Outbound, Refused, ServerMtls
from towpath.model.ports import INBOUND_PORT, OUTBOUND_PORT, PROMETHEUS_PORT
from towpath.model.snapshot import Layer

INSPECTION_SECONDS = 5.0
"""How long a marked pod's sidecar waits for a client's first bytes, to tell mutual TLS from other
protocols: a client that says less than a TLS client would is let in as plaintext after that.
"""

SERVER_FIRST_SECONDS = 1.0
"""The same if there is a port where the server speaks first, and a client in plaintext says
nothing at all.
"""

# Of Linux, where sidecars run.
_SOL_SOCKET, _SO_KEEPALIVE = 1, 9


def outbound_listener(plan: Outbound, of_policies: Chains | None = None) -> Layer:
    """The listener that every outgoing connection is redirected to.

    *of_policies* are the chains of its egress plan, if they are known already.

    None at all when nothing is allowed out: then a connection is refused at once, as curl says
    with exit code 7. A listener without chains would be rejected, and the old one would stay.
    """
    if not plan.destinations and not plan.egress.ports and not plan.passthrough:
        return Layer()
    listener = _transparent(names.OUTBOUND_LISTENER, OUTBOUND_PORT)
    listener.traffic_direction = TrafficDirection.OUTBOUND
    if plan.egress.reports:
        listener.access_log.append(connection_report())
    if of_policies is None:
        of_policies = egress_chains(plan.egress)
    # Only a change of these ports replaces the listener, and drains it as a whole: a change of
    # chains alone leaves the other chains' connections untouched.
    listener.listener_filters.extend(inspectors({port_of(c) for c in of_policies if asks(c)}))
    # A connection to the listener's own port would make the sidecar dial itself without end.
    guard = FilterChainMatch(destination_port={"value": OUTBOUND_PORT})
    listener.filter_chains.append(FilterChain(name=names.SELF_LOOP_GUARD, filter_chain_match=guard))
    listener.filter_chains.extend(_outbound_chain(d) for d in plan.destinations if d.addresses)
    listener.filter_chains.extend(_refused(one) for one in plan.refused)
    listener.filter_chains.extend(of_policies)
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
    listener = _transparent(names.INBOUND_LISTENER, INBOUND_PORT)
    listener.traffic_direction = TrafficDirection.INBOUND
    if plan.mtls is None:
        listener.filter_chains.extend(c for p in plan.ports for c in _inbound_chains(p))
    else:
        _take_mtls(listener, plan.ports, plan.mtls)
    if not listener.filter_chains:
        # A listener without chains would be rejected, and the one before would stay open.
        guard = FilterChainMatch(destination_port={"value": INBOUND_PORT})
        chain = FilterChain(name=names.SELF_LOOP_GUARD, filter_chain_match=guard)
        listener.filter_chains.append(chain)
    return Layer((resource(names.INBOUND_LISTENER, listener),))


def prometheus_listener() -> Layer:
    """The listener where Prometheus reads the sidecar's own statistics."""
    listener = Listener(
        name=names.PROMETHEUS_LISTENER,
        address=ipv4_address("0.0.0.0", PROMETHEUS_PORT),
        filter_chains=[FilterChain(filters=[http_with("prometheus", prometheus_routes())])],
    )
    return Layer((resource(names.PROMETHEUS_LISTENER, listener),))


def _outbound_chain(destination: Destination) -> FilterChain:
    name = names.outbound_chain(destination)
    match = FilterChainMatch(
        destination_port={"value": destination.port},
        prefix_ranges=[_host(address) for address in destination.addresses],
    )
    return FilterChain(name=name, filter_chain_match=match, filters=_outbound_filters(destination))


def _refused(closed: Refused) -> FilterChain:
    """What may not be called in the mesh, which would else be taken for the rest: requests get 403,
    any other connection is closed.
    """
    kind = "http." if closed.http else ""
    name = f"{names.REFUSED_CHAIN}{kind}{closed.port}"
    match = FilterChainMatch(
        destination_port={"value": closed.port},
        prefix_ranges=[_host(address) for address in closed.addresses],
    )
    filters = [refuse_requests(name)] if closed.http else []
    return FilterChain(name=name, filter_chain_match=match, filters=filters)


def _outbound_filters(destination: Destination) -> list[Filter]:
    """Where a connection goes; without a backend that could have it, it is closed."""
    name = names.outbound_chain(destination)
    if destination.protocol is Protocol.HTTP:
        return [http_by_rds(name, names.outbound_routes_of(destination))]
    if not destination.branches:
        return [tcp_proxy(name, destination.name)]
    [branch] = destination.branches
    return [tcp_proxy_to(name, branch.shares)] if branch.shares else []


def _take_mtls(listener: Listener, ports: Iterable[InboundPort], mtls: ServerMtls) -> None:
    """Chains for mutual TLS on every port that services lead to, and for plaintext beside them.

    What the listener itself says is the same in all modes, so that a change of mode is one of
    chains, and leaves the connections by mutual TLS alone. Matching does not backtrack: a chain
    for any TLS would take the application's own.
    """
    services = [port for port in ports if port.probes is None]
    listener.listener_filters.append(tls_inspector(port.port for port in services))
    listener.listener_filters_timeout.CopyFrom(seconds(_patience(services)))
    listener.continue_on_listener_filters_timeout = True
    socket = server_socket(mtls.account, mtls.parameters)
    for port in services:
        for chain in _chains(names.inbound_chain(port), port, names.mtls_routes_of(port)):
            chain.filter_chain_match.application_protocols.append(ALPN)
            chain.transport_socket.CopyFrom(socket)
            listener.filter_chains.append(chain)
    for port in ports:
        if port.probes is not None or not mtls.strict or port.plain_ingress:
            name = names.inbound_plain_chain(port)
            listener.filter_chains.extend(_chains(name, port, names.inbound_routes_of(port)))
    for port in mtls.probes:
        # Where plaintext comes from outside the mesh, they come with it.
        if not port.plain_ingress:
            name = names.inbound_plain_chain(port)
            listener.filter_chains.append(_chain(name, port, names.probe_routes_of(port)))


def _patience(ports: Iterable[InboundPort]) -> float:
    """For how many seconds a client may say nothing before it is taken for one in plaintext."""
    waits = any(port.protocol is Protocol.TCP_SERVER_FIRST for port in ports)
    return SERVER_FIRST_SECONDS if waits else INSPECTION_SECONDS


def _inbound_chains(port: InboundPort) -> Iterable[FilterChain]:
    return _chains(names.inbound_chain(port), port, names.inbound_routes_of(port))


def _chains(name: str, port: InboundPort, routes: str) -> Iterable[FilterChain]:
    """One chain, or for bytes that not everybody may send, one for each address that may.

    A server that speaks first would greet whom a filter refuses. A chain whose match changes drains
    all its connections, so that a list of addresses would end them with every new client.
    """
    if port.permits is None or port.protocol is Protocol.HTTP:
        yield _chain(name, port, routes)
        return
    if port.health:
        match = FilterChainMatch(destination_port={"value": port.port})
        yield FilterChain(name=name, filter_chain_match=match, filters=[http_inbound(name, routes)])
    for address in sorted({address for one in port.permits for address in one.addresses}):
        chain = _chain(names.inbound_chain_from(name, address), port, routes)
        chain.filter_chain_match.direct_source_prefix_ranges.append(_host(address))
        yield chain


def _chain(name: str, port: InboundPort, routes: str) -> FilterChain:
    match = FilterChainMatch(destination_port={"value": port.port})
    filters = _inbound_filters(name, port, routes)
    return FilterChain(name=name, filter_chain_match=match, filters=filters)


def _inbound_filters(name: str, port: InboundPort, routes: str) -> list[Filter]:
    if port.probes == ():
        # Who only connects is content with that; anything more is closed.
        return []
    if port.probes is not None:
        return [http_inbound(name, routes)]
    rate = port.limits.connections
    limited = [connection_limit(port, rate)] if rate else []
    if port.protocol is Protocol.HTTP:
        return [*limited, http_inbound(name, routes, reports=port.reports)]
    return [*limited, tcp_proxy(name, port.cluster_name)]


def _transparent(name: str, port: int) -> Listener:
    """A listener for redirected connections, which waits for its filters as long as it takes."""
    return Listener(
        name=name,
        address=ipv4_address("0.0.0.0", port),
        listener_filters=[original_dst()],
        listener_filters_timeout=seconds(0),
        socket_options=[_keepalive()],
        access_log=[connection_log()],
    )


def _keepalive() -> SocketOption:
    """As nothing ends an idle connection, the kernel has to find out that the peer is gone."""
    return SocketOption(
        description="SO_KEEPALIVE",
        level=_SOL_SOCKET,
        name=_SO_KEEPALIVE,
        int_value=1,
        state=SocketOption.STATE_PREBIND,
    )


def ipv4_address(host: str, port: int) -> Address:
    """An address of TCP."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _host(address: str) -> CidrRange:
    return CidrRange(address_prefix=address, prefix_len={"value": 32})
