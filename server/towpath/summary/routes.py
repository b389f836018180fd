"""Route configurations: which requests go to which cluster, and which are answered right here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute

from towpath.summary.layout import Block, columns, duration, indented
from towpath.summary.limits import request_limit

_RBAC = "envoy.filters.http.rbac"
ONE_ADDRESS = 32
_POLICIES = ("towpath", "policies")
"""The metadata in which a refusal names the policies of its host: namespace and key."""


def routes(data: bytes) -> Block:
    """Every virtual host, with its routes in the order in which they are tried."""
    message = RouteConfiguration.FromString(data)
    hosts = tuple(virtual_hosts(message)) or ("no host",)
    return Block(f"routes {message.name}", hosts)


def virtual_hosts(message: Any) -> Iterator[str]:
    """A line for each virtual host, and below it one for each of its routes."""
    for host in message.virtual_hosts:
        limit = request_limit(host.typed_per_filter_config)
        yield f"host {', '.join(host.domains)}{_allows(host)}" + (f", {limit}" if limit else "")
        rows = [(_match(route.match), _leads(route)) for route in host.routes]
        yield from indented(columns(rows) or ["no route"])


def _allows(host: Any) -> str:
    """The policies of RBAC, any of which may allow a request, or is only counted; that everything
    is allowed is not worth a word.
    """
    config = RBACPerRoute()
    if _RBAC not in host.typed_per_filter_config:
        return ""
    host.typed_per_filter_config[_RBAC].Unpack(config)
    allowed = _named(config.rbac.rules.policies)
    shadow = ""
    if config.rbac.HasField("shadow_rules"):
        shadow = f", counts what is not of {_named(config.rbac.shadow_rules.policies)}"
    return shadow if allowed.startswith("permissive ") else f", allowed by {allowed}{shadow}"


def _named(policies: Any) -> str:
    return (
        ", ".join(f"{name} ({_callers(policies[name])})" for name in sorted(policies)) or "nothing"
    )


def _callers(policy: Any) -> str:
    return _any_of(policy.principals)


def _any_of(principals: Any) -> str:
    return " ".join(map(_caller, principals))


def _caller(principal: Any) -> str:
    match principal.WhichOneof("identifier"):
        case "direct_remote_ip":
            address = principal.direct_remote_ip
            length = address.prefix_len.value
            return str(address.address_prefix) + (f"/{length}" if length < ONE_ADDRESS else "")
        case "authenticated":
            return str(principal.authenticated.principal_name.exact)
        case "and_ids":
            return " and ".join(f"({_any_of(one.or_ids.ids)})" for one in principal.and_ids.ids)
        case other:
            return "anyone" if other == "any" else str(other)


def _match(match: Any) -> str:
    conditions = [_path(match)]
    conditions += [_header(header) for header in match.headers]
    return "; ".join(conditions)


def _path(match: Any) -> str:
    match match.WhichOneof("path_specifier"):
        case "connect_matcher":
            return "CONNECT"
        case "path":
            return f"path = {match.path}"
        case "safe_regex":
            return f"path ~ {match.safe_regex.regex}"
        case "prefix" if match.prefix in ("", "/"):
            return "any path"
        case "prefix":
            return f"path = {match.prefix}*"
        case other:
            return str(other)


def _header(header: Any) -> str:
    name = header.name.removeprefix(":")
    value = header.string_match
    match value.WhichOneof("match_pattern"):
        case "exact":
            return f"{name} = {value.exact}"
        case "safe_regex":
            return f"{name} ~ {value.safe_regex.regex}"
        case other:
            return f"{name} {other or 'matched'}"


def _leads(route: Any) -> str:
    parts = [f"-> {_target(route)}"]
    if route.route.HasField("timeout") and route.route.timeout.ToMilliseconds():
        parts.append(f"timeout {duration(route.route.timeout)}")
    if retry := _retry(route.route.retry_policy):
        parts.append(retry)
    if limit := request_limit(route.typed_per_filter_config):
        parts.append(f"({limit})")
    if policies := _policies(route):
        parts.append(f"({policies})")
    return " ".join(parts)


def _retry(policy: Any) -> str:
    if not policy.retry_on:
        return ""
    text = f"again on {','.join((policy.retry_on, *map(str, policy.retriable_status_codes)))}"
    if policy.HasField("per_try_timeout"):
        text += f" after {duration(policy.per_try_timeout)}"
    if policy.HasField("retry_back_off"):
        text += f" each {duration(policy.retry_back_off.base_interval)}"
    return f"({text}, {policy.num_retries.value} times)"


def _target(route: Any) -> str:
    if route.HasField("direct_response"):
        return str(route.direct_response.status)
    weighted = route.route.weighted_clusters.clusters
    if weighted:
        return ", ".join(f"{one.name} (weight {one.weight.value})" for one in weighted)
    return str(route.route.cluster)


def _policies(route: Any) -> str:
    """The policies that a route is of, or that a refusal names."""
    namespace, key = _POLICIES
    metadata = route.metadata.filter_metadata
    if namespace in metadata and key in metadata[namespace]:
        return str(metadata[namespace][key])
    return str(route.name)
