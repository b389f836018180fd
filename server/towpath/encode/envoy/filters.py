"""Network filters: what a filter chain does with a connection it has caught."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    ComparisonFilter,
    StatusCodeFilter,
)
from envoy.config.core.v3.base_pb2 import DataSource, RuntimeUInt32
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.message import Message

from towpath.encode.envoy.names import in_statistics
from towpath.encode.envoy.transparency import (
    LARGEST_HEADERS_KIB,
    common_options,
    downstream_http1,
    http2,
    keep_forwarded_proto,
    restore_forwarded_proto,
)
from towpath.encode.pack import ads, pack, seconds

UPGRADES = ("websocket", "CONNECT", "spdy/3.1", "tcp")
"""Protocols that a client may change to; Envoy has no word for «any»."""


def tcp_proxy(stats: str, cluster: str) -> Filter:
    """Bytes as they are, to one cluster."""
    proxy = TcpProxy(stat_prefix=in_statistics(stats), cluster=cluster, idle_timeout=seconds(0))
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))


def tcp_proxy_to(stats: str, shares: tuple[tuple[str, int], ...]) -> Filter:
    """Each connection to one of several clusters, in proportion to their weights (above 0)."""
    if len(shares) == 1:
        return tcp_proxy(stats, shares[0][0])
    weight = TcpProxy.WeightedCluster.ClusterWeight
    clusters = [weight(name=name, weight=number) for name, number in shares]
    proxy = TcpProxy(
        stat_prefix=in_statistics(stats),
        weighted_clusters=TcpProxy.WeightedCluster(clusters=clusters),
        idle_timeout=seconds(0),
    )
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))


def http_by_rds(stats: str, route_config: str) -> Filter:
    """HTTP, by a route configuration that is subscribed to under its name."""
    return network_filter(manager_by_rds(stats, route_config))


def http_with(stats: str, routes: RouteConfiguration) -> Filter:
    """HTTP, by routes that never change."""
    return network_filter(manager_with(stats, routes))


def manager_with(stats: str, routes: RouteConfiguration) -> hcm.HttpConnectionManager:
    """What `http_with` is made of, for those who add to it."""
    manager = _manager(stats)
    manager.route_config.CopyFrom(routes)
    return manager


def manager_by_rds(stats: str, route_config: str) -> hcm.HttpConnectionManager:
    """What `http_by_rds` is made of, for those who add to it."""
    manager = _manager(stats)
    manager.rds.CopyFrom(hcm.Rds(config_source=ads(), route_config_name=route_config))
    return manager


def say_refusal(
    manager: hcm.HttpConnectionManager, status: int, text: str, *, runtime_key: str
) -> None:
    """Have a *status* of the sidecar's own say what was refused; one that comes from an application
    passes untouched.
    """
    comparison = ComparisonFilter(
        op=ComparisonFilter.EQ, value=RuntimeUInt32(default_value=status, runtime_key=runtime_key)
    )
    of_status = AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=comparison))
    body = SubstitutionFormatString(text_format_source=DataSource(inline_string=text))
    mapper = hcm.ResponseMapper(filter=of_status, body_format_override=body)
    manager.local_reply_config.CopyFrom(hcm.LocalReplyConfig(mappers=[mapper]))


def network_filter(manager: hcm.HttpConnectionManager) -> Filter:
    """The manager as a filter of a chain."""
    return Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))


def http_filter(kind: str, config: Message) -> hcm.HttpFilter:
    """One of the filters that a request passes within the manager."""
    return hcm.HttpFilter(name=f"envoy.filters.http.{kind}", typed_config=pack(config))


def _manager(stats: str) -> hcm.HttpConnectionManager:
    """An HTTP connection manager that changes as little of a request as Envoy can."""
    upgrade = hcm.HttpConnectionManager.UpgradeConfig
    manager = hcm.HttpConnectionManager(
        stat_prefix=in_statistics(stats),
        http_filters=[
            http_filter("header_mutation", restore_forwarded_proto()),
            http_filter("router", Router(suppress_envoy_headers=True)),
        ],
        early_header_mutation_extensions=[keep_forwarded_proto()],
        upgrade_configs=[upgrade(upgrade_type=name) for name in UPGRADES],
        common_http_protocol_options=common_options(),
        http_protocol_options=downstream_http1(),
        http2_protocol_options=http2(),
        max_request_headers_kb={"value": LARGEST_HEADERS_KIB},
        stream_idle_timeout=seconds(0),
        proxy_100_continue=True,
        server_header_transformation=hcm.HttpConnectionManager.PASS_THROUGH,
        generate_request_id={"value": False},
        preserve_external_request_id=True,
    )
    # Without this the sidecar would set x-forwarded-* as if it were the edge of a network.
    manager.use_remote_address.value = False
    manager.skip_xff_append = True
    return manager
