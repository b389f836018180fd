"""The HTTP connection manager of inbound ports: it asks who may, and says whom it refused."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    ComparisonFilter,
    StatusCodeFilter,
)
from envoy.config.core.v3.base_pb2 import DataSource, RuntimeUInt32
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from towpath.encode.envoy.filters import manager_by_rds, network_filter
from towpath.encode.envoy.rbac import allow_nothing

REFUSAL = (
    "403: %REQ(:METHOD)% %REQ(:PATH)% from %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% is not "
    "allowed on port %DOWNSTREAM_LOCAL_PORT% (%RESPONSE_CODE_DETAILS%)\n"
)
"""Whoever is refused reads it, so it names no policy."""


def http_inbound(stats: str, route_config: str) -> Filter:
    """HTTP from other sidecars, as far as the routes allow it."""
    manager = manager_by_rds(stats, route_config)
    manager.local_reply_config.CopyFrom(hcm.LocalReplyConfig(mappers=[_refusal()]))
    # Behind what restores the headers as they came, so that policies see those.
    router = len(manager.http_filters) - 1
    manager.http_filters.insert(router, allow_nothing())
    return network_filter(manager)


def _refusal() -> hcm.ResponseMapper:
    """A 403 of the sidecar's own says what was refused; the application's passes untouched."""
    status = ComparisonFilter(
        op=ComparisonFilter.EQ,
        value=RuntimeUInt32(default_value=403, runtime_key="towpath.inbound_refusal"),
    )
    text = SubstitutionFormatString(text_format_source=DataSource(inline_string=REFUSAL))
    return hcm.ResponseMapper(
        filter=AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=status)),
        body_format_override=text,
    )
