"""Rate limits at a server: token buckets that each sidecar keeps by itself.

The filter of HTTP in the listener limits nothing. What is limited stands in the routes of the port,
as with RBAC, so that a change of it is one of routes alone.
"""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, RuntimeFractionalPercent
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as of_http
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.local_ratelimit.v3 import local_rate_limit_pb2 as of_network
from envoy.type.v3.http_status_pb2 import HttpStatus
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.envoy.filters import http_filter
from towpath.encode.pack import pack, seconds
from towpath.model.limits import Rate, RequestLimit
from towpath.model.plan import InboundPort

REQUEST_LIMIT = "envoy.filters.http.local_ratelimit"
CONNECTION_LIMIT = "envoy.filters.network.local_ratelimit"
_STATISTICS = "inbound_limit"


def no_request_limit() -> hcm.HttpFilter:
    """The filter of a listener: without a word in the routes every request passes."""
    return http_filter("local_ratelimit", of_http.LocalRateLimit(stat_prefix=_STATISTICS))


def request_limit(limit: RequestLimit) -> AnyMessage:
    """What a virtual host or a route says to the filter."""
    headers = [_header(name, value) for name, value in limit.headers]
    return pack(
        of_http.LocalRateLimit(
            stat_prefix=_STATISTICS,
            status=HttpStatus(code=limit.status),
            token_bucket=_bucket(limit.rate),
            # Neither has a default but to let everything pass.
            filter_enabled=_always("towpath.request_limit_enabled"),
            filter_enforced=_always("towpath.request_limit_enforced"),
            response_headers_to_add=headers,
        )
    )


def connection_limit(port: InboundPort, rate: Rate) -> Filter:
    """A filter of the network that closes connections beyond the limit; all chains of a port draw
    from one bucket.
    """
    limit = of_network.LocalRateLimit(
        stat_prefix=_STATISTICS, token_bucket=_bucket(rate), share_key=port.cluster_name
    )
    return Filter(name=CONNECTION_LIMIT, typed_config=pack(limit))


def _bucket(rate: Rate) -> TokenBucket:
    return TokenBucket(
        max_tokens=rate.count + rate.burst,
        tokens_per_fill={"value": rate.count},
        fill_interval=seconds(rate.seconds),
    )


def _always(runtime_key: str) -> RuntimeFractionalPercent:
    all_of_them = FractionalPercent(numerator=100, denominator=FractionalPercent.HUNDRED)
    return RuntimeFractionalPercent(default_value=all_of_them, runtime_key=runtime_key)


def _header(name: str, value: str) -> HeaderValueOption:
    # A % would begin one of Envoy's own words.
    header = HeaderValue(key=name, value=value.replace("%", "%%"))
    add = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderValueOption(header=header, append_action=add)
