"""The HTTP connection manager of egress: transparent, and outspoken when it refuses."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.common.set_filter_state.v3.value_pb2 import FilterStateValue
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import (
    dynamic_forward_proxy_pb2 as forward,
)
from envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import Config
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from towpath.encode.envoy.access_log import request_log, request_report
from towpath.encode.envoy.egress_clusters import dns_cache
from towpath.encode.envoy.egress_routes import METADATA
from towpath.encode.envoy.filters import http_filter, manager_by_rds, network_filter, say_refusal

REFUSAL = (
    "404: %REQ(:METHOD)% http://%REQ(:AUTHORITY)%%REQ(:PATH)% is not allowed out of the mesh; "
    f"policies for this host and service account: %METADATA(ROUTE:{METADATA}:policies)%\n"
)


def http_egress(stats: str, route_config: str, *, port: int, reports: bool) -> Filter:
    """HTTP towards the outside, on one port; with *reports* each request is reported."""
    manager = manager_by_rds(stats, route_config)
    manager.access_log.append(request_log())
    if reports:
        manager.access_log.append(request_report())
    say_refusal(manager, 404, REFUSAL, runtime_key="towpath.refusal")
    manager.http_filters.insert(0, _dialled_port(port))
    manager.http_filters.insert(1, _look_up())
    return network_filter(manager)


def _dialled_port(port: int) -> hcm.HttpFilter:
    """A host found by its pattern is dialled on this port, whatever port its header names."""
    value = SubstitutionFormatString(
        text_format_source=DataSource(inline_string=str(port)), omit_empty_values=True
    )
    state = FilterStateValue(object_key="envoy.upstream.dynamic_port", format_string=value)
    return http_filter("set_filter_state", Config(on_request_headers=[state]))


def _look_up() -> hcm.HttpFilter:
    config = forward.FilterConfig(
        dns_cache_config=dns_cache(), allow_dynamic_host_from_filter_state=True
    )
    return http_filter("dynamic_forward_proxy", config)
