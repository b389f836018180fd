"""What an Envoy with this inbound listener and these routes does with a request that comes in.

Chains are chosen as Envoy chooses them: by port, application protocol, address of the caller, never
going back; routes in their order, and what RBAC is told there decides. It reads the messages alone,
and knows nothing of plans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from support.decoded import listener, routes, unpacked
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.encode.envoy.tls import ALPN
from towpath.model.snapshot import Resource


@dataclass(frozen=True)
class Incoming:
    """A request, by mutual TLS of the mesh if it has a certificate, which says the caller's name
    and asks for a host.
    """

    port: int
    address: str
    method: str
    path: str
    name: str = ""
    host: str = ""


def lets_in(resource: Resource | None, by_name: Mapping[str, Resource], request: Incoming) -> bool:
    """True if the request reaches the application; *resource* is None without a listener."""
    chain = None if resource is None else _chain(listener(resource), request)
    if chain is None or not chain.filters:
        return False
    last = chain.filters[-1].typed_config
    if last.Is(TcpProxy.DESCRIPTOR):
        return True
    if chain.HasField("transport_socket") is not bool(request.name):
        return False  # what is encrypted is no HTTP
    named = by_name.get(unpacked(last, hcm.HttpConnectionManager).rds.route_config_name)
    if named is None:
        return False
    for host in routes(named).virtual_hosts:
        for route in host.routes:
            if _matches(route.match, request):
                return route.HasField("route") and _allowed(host, request)
    return False


def _chain(of: Any, request: Incoming) -> Any:
    there = [
        chain
        for chain in of.filter_chains
        if chain.filter_chain_match.destination_port.value == request.port
    ]
    by_tls = [chain for chain in there if ALPN in chain.filter_chain_match.application_protocols]
    left = by_tls if by_tls and request.name else [one for one in there if one not in by_tls]
    for chain in left:
        ranges = chain.filter_chain_match.direct_source_prefix_ranges
        if request.address in [one.address_prefix for one in ranges]:
            return chain
    left = [one for one in left if not one.filter_chain_match.direct_source_prefix_ranges]
    return left[0] if left else None


def _matches(match: Any, request: Incoming) -> bool:
    tunnel = request.method == "CONNECT"
    if match.HasField("connect_matcher") or tunnel:
        path = tunnel and match.HasField("connect_matcher")
    elif match.path:
        path = match.path == request.path
    elif match.HasField("safe_regex"):
        path = bool(re.fullmatch(match.safe_regex.regex, request.path))
    else:
        path = request.path.startswith(match.prefix)
    return path and all(_text(one.string_match, request.method) for one in match.headers)


def _allowed(host: Any, request: Incoming) -> bool:
    """Without a word of the virtual host the listener's filter allows nothing."""
    if RBAC_FILTER not in host.typed_per_filter_config:
        return False
    config = unpacked(host.typed_per_filter_config[RBAC_FILTER], RBACPerRoute).rbac
    return any(
        any(_permits(one, request) for one in policy.permissions)
        and any(_is_caller(one, request) for one in policy.principals)
        for policy in config.rules.policies.values()
    )


def _permits(rule: Any, request: Incoming) -> bool:
    match rule.WhichOneof("rule"):
        case "any":
            return True
        case "and_rules":
            return all(_permits(one, request) for one in rule.and_rules.rules)
        case "not_rule":
            return not _permits(rule.not_rule, request)
        case "url_path":
            return _text(rule.url_path.path, request.path)
        case "header":
            return _text(rule.header.string_match, request.method)
        case "requested_server_name":
            return _text(rule.requested_server_name, request.host)
    raise AssertionError(rule)


def _is_caller(principal: Any, request: Incoming) -> bool:
    match principal.WhichOneof("identifier"):
        case "any":
            return True
        case "and_ids":
            return all(_is_caller(one, request) for one in principal.and_ids.ids)
        case "or_ids":
            return any(_is_caller(one, request) for one in principal.or_ids.ids)
        case "direct_remote_ip":
            one = principal.direct_remote_ip
            block = IPv4Network(f"{one.address_prefix}/{one.prefix_len.value}")
            return IPv4Address(request.address) in block
        case "authenticated":
            return _text(principal.authenticated.principal_name, request.name)
    raise AssertionError(principal)


def _text(match: Any, text: str) -> bool:
    if match.HasField("exact"):
        return bool(match.exact == text)
    return bool(re.fullmatch(match.safe_regex.regex, text))
