"""What an Envoy with this outbound listener and these routes does with an attempt to get out.

Chains are chosen as Envoy chooses them: by port, address, server name, transport, application
protocol, never going back; routes by domain, then in their order.
It reads the messages alone, and knows nothing of plans.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from support.decoded import listener, routes, unpacked
from towpath.model.names import Protocol
from towpath.model.snapshot import Resource
from towpath.planning.egress.decide import Attempt


def lets_through(
    resource: Resource | None, by_name: Mapping[str, Resource], attempt: Attempt
) -> bool:
    """True if the attempt reaches a cluster; *resource* is None where there is no listener."""
    if resource is None:
        return False
    chain = _chain(listener(resource), attempt)
    if chain is None or not chain.filters:
        return False
    last = chain.filters[-1].typed_config
    if last.Is(TcpProxy.DESCRIPTOR):
        return True
    if attempt.protocol is not Protocol.HTTP:
        return False
    named = unpacked(last, hcm.HttpConnectionManager).rds.route_config_name
    return named in by_name and _routed(routes(by_name[named]), attempt)


def _chain(of: Any, attempt: Attempt) -> Any:
    protocol = Protocol.TCP if is_silent(of, attempt.port) else attempt.protocol
    tls, http = protocol is Protocol.HTTPS, protocol is Protocol.HTTP
    steps: tuple[Callable[[Any], int | None], ...] = (
        lambda match: _equal(match.destination_port.value, attempt.port),
        lambda match: _inside(match.prefix_ranges, attempt.address),
        lambda match: _named(match.server_names, attempt.host if tls else ""),
        lambda match: _equal(match.transport_protocol, "tls" if tls else "raw_buffer"),
        lambda match: _equal(
            "http/1.1" if "http/1.1" in match.application_protocols else "",
            "http/1.1" if http else "",
        ),
    )
    left = list(of.filter_chains)
    for step in steps:
        ranked = [(step(chain.filter_chain_match), chain) for chain in left]
        best = max((rank for rank, _ in ranked if rank is not None), default=None)
        left = [chain for rank, chain in ranked if rank is not None and rank == best]
    if left:
        return left[0]
    return of.default_filter_chain if of.HasField("default_filter_chain") else None


def is_silent(of: Any, port: int) -> bool:
    """True if nobody looks at the first bytes on this port."""
    read = [one for one in of.listener_filters if one.name.endswith("_inspector")]
    return not read or any(_holds(one.filter_disabled, port) for one in read)


def _holds(predicate: Any, port: int) -> bool:
    """A predicate of Envoy's about a port; one that is empty holds for none."""
    match predicate.WhichOneof("rule"):
        case "any_match":
            return bool(predicate.any_match)
        case "not_match":
            return not _holds(predicate.not_match, port)
        case "or_match":
            return any(_holds(rule, port) for rule in predicate.or_match.rules)
        case "destination_port_range":
            range_ = predicate.destination_port_range
            return bool(range_.start <= port < range_.end)
    return False


def _equal(wanted: Any, value: Any) -> int | None:
    """1: this very value; 0: any; None: another."""
    if not wanted:
        return 0
    return 1 if wanted == value else None


def _inside(ranges: Iterable[Any], address: str | None) -> int | None:
    blocks = [f"{one.address_prefix}/{one.prefix_len.value}" for one in ranges]
    if not blocks:
        return 0
    networks = [IPv4Network(one) for one in blocks]
    fitting = [n.prefixlen for n in networks if address and IPv4Address(address) in n]
    return max(fitting, default=None)


def _named(patterns: Iterable[str], host: str) -> int | None:
    names = list(patterns)
    return 0 if not names else max((r for p in names if (r := _fits(p, host))), default=None)


def _fits(pattern: str, host: str) -> int:
    """The longer the better, the name itself best of all; 0: not at all."""
    if pattern == host:
        return 10_000
    if pattern.startswith("*") and host.endswith(pattern[1:]) and len(host) >= len(pattern):
        return len(pattern)
    return 0


def _routed(of: Any, attempt: Attempt) -> bool:
    ranked = [(_fits(d, attempt.host.lower()), h) for h in of.virtual_hosts for d in h.domains]
    rank, host = max(ranked, key=lambda pair: pair[0], default=(0, None))
    if rank == 0 or host is None:
        return False
    taken = (route for route in host.routes if _matches(route.match, attempt))
    first: Any = next(taken, None)
    return first is not None and bool(first.route.cluster)


def _matches(match: Any, attempt: Attempt) -> bool:
    if match.HasField("connect_matcher") != (attempt.method == "CONNECT"):
        return False
    path = attempt.path.partition("?")[0]
    if match.HasField("safe_regex") and not re.fullmatch(match.safe_regex.regex, path):
        return False
    headers = {":method": attempt.method, ":authority": attempt.host}
    return all(
        re.fullmatch(header.string_match.safe_regex.regex, headers[header.name])
        for header in match.headers
    )
