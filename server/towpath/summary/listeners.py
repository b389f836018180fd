"""Listeners: which connections a chain takes, through which filters, and where to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from towpath.summary.layout import ARROW, Block, address, columns, duration, indented
from towpath.summary.limits import connection_limit
from towpath.summary.routes import virtual_hosts
from towpath.summary.secrets import server_tls

_LISTENER_FILTER = "envoy.filters.listener."
_DECIDE_NOTHING = ("router", "header_mutation", "local_ratelimit")
"""Filters of HTTP; what is limited stands in routes."""


def listener(data: bytes) -> Block:
    """What one listener takes; of a proxyless client's, where calls to its name go."""
    message = Listener.FromString(data)
    if message.HasField("api_listener"):
        manager = hcm.HttpConnectionManager()
        message.api_listener.api_listener.Unpack(manager)
        return Block(f"listener {message.name}{ARROW}{_http(manager)}", (*_inline(manager),))
    direction = TrafficDirection.Name(message.traffic_direction).lower()
    of = "" if direction == "unspecified" else f", {direction}"
    return Block(
        f"listener {message.name}{of}, {address(message.address)}",
        (*_inspection(message), *_chains(message)),
    )


def _inspection(message: Any) -> Iterator[str]:
    """On which ports the client's first bytes are read, and so waited for."""
    by_ports: dict[str, list[str]] = {}
    for one in message.listener_filters:
        kind = one.name.removeprefix(_LISTENER_FILTER).removesuffix("_inspector")
        if one.name == f"{_LISTENER_FILTER}{kind}_inspector":
            by_ports.setdefault(_ports(one), []).append(kind)
    gives_up = message.continue_on_listener_filters_timeout
    until = f", for {duration(message.listener_filters_timeout)} at most" if gives_up else ""
    for ports, kinds in by_ports.items():
        yield f"inspects {', '.join(kinds)} on {ports}{until}"


def _ports(inspector: Any) -> str:
    if not inspector.HasField("filter_disabled"):
        return "every port"
    if inspector.filter_disabled.any_match:
        return "no port"
    rule = inspector.filter_disabled.not_match
    ranges = (one.destination_port_range for one in (rule, *rule.or_match.rules))
    return "port " + ", ".join(_port_range(one) for one in ranges if one.end)


def _port_range(ports: Any) -> str:
    """A range, whose end is the first port behind it."""
    last = ports.end - 1
    return f"{ports.start}" if ports.start == last else f"{ports.start}-{last}"


def _chains(message: Any) -> Iterator[str]:
    chains = [(chain, _match(chain.filter_chain_match)) for chain in message.filter_chains]
    if message.HasField("default_filter_chain"):
        chains.append((message.default_filter_chain, "any other"))
    lines = columns((chain.name or "-", match, _leads(chain)) for chain, match in chains)
    for (chain, _), line in zip(chains, lines, strict=True):
        yield line
        for manager in _managers(chain):
            yield from indented(_inline(manager))


def _match(match: Any) -> str:
    """The conditions, all of which must hold, in the order in which Envoy looks at them."""
    conditions = []
    if match.HasField("destination_port"):
        conditions.append(f"port {match.destination_port.value}")
    if match.prefix_ranges:
        conditions.append("to " + ", ".join(map(_cidr, match.prefix_ranges)))
    if match.direct_source_prefix_ranges:
        conditions.append("from " + ", ".join(map(_cidr, match.direct_source_prefix_ranges)))
    if match.server_names:
        conditions.append("SNI " + ", ".join(match.server_names))
    if match.transport_protocol:
        conditions.append(match.transport_protocol)
    if match.application_protocols:
        conditions.append(", ".join(match.application_protocols))
    return "; ".join(conditions) or "any"


def _cidr(value: Any) -> str:
    return f"{value.address_prefix}/{value.prefix_len.value}"


def _leads(chain: Any) -> str:
    """`-> filter -> cluster`; a chain without filters closes the connection."""
    filters = list(_filters(chain.filters)) or ["close"]
    parts = [*server_tls(chain.transport_socket), *filters]
    return "-> " + ARROW.join(parts)


def _filters(filters: Iterable[Any]) -> Iterator[str]:
    for one in filters:
        proxy, manager = TcpProxy(), hcm.HttpConnectionManager()
        if one.typed_config.Unpack(proxy):
            weighted = proxy.weighted_clusters.clusters
            shares = ", ".join(f"{one.name} (weight {one.weight})" for one in weighted)
            yield f"tcp_proxy{ARROW}{shares or proxy.cluster}"
        elif one.typed_config.Unpack(manager):
            yield _http(manager)
        else:
            yield connection_limit(one.typed_config) or one.name.rpartition(".")[2]


def _http(manager: Any) -> str:
    """`http -> routes NAME`, with the filters that can decide something of a request."""
    names = (one.name.rpartition(".")[2] for one in manager.http_filters)
    passed = [name for name in names if name not in _DECIDE_NOTHING]
    through = f"http ({', '.join(passed)})" if passed else "http"
    if manager.HasField("rds"):
        return f"{through}{ARROW}routes {manager.rds.route_config_name}"
    return through


def _managers(chain: Any) -> Iterator[Any]:
    for one in chain.filters:
        manager = hcm.HttpConnectionManager()
        if one.typed_config.Unpack(manager):
            yield manager


def _inline(manager: Any) -> Iterable[str]:
    """Routes that stand in the listener itself."""
    return virtual_hosts(manager.route_config)
