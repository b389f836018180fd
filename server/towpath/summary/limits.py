"""Rate limits: how much passes in which time, and what the rest is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as of_http
from envoy.extensions.filters.network.local_ratelimit.v3 import local_rate_limit_pb2 as of_network

from towpath.summary.layout import duration

_REQUESTS = "envoy.filters.http.local_ratelimit"


def connection_limit(packed: Any) -> str | None:
    """What a filter of the network limits; None if it is another filter."""
    limit = of_network.LocalRateLimit()
    return f"limit {_bucket(limit.token_bucket)}" if packed.Unpack(limit) else None


def request_limit(configs: Mapping[str, Any]) -> str:
    """What a virtual host or route limits; "" if it says nothing of that."""
    limit = of_http.LocalRateLimit()
    if _REQUESTS not in configs:
        return ""
    configs[_REQUESTS].Unpack(limit)
    added = [one.header for one in limit.response_headers_to_add]
    headers = (f"{one.key}: {one.value.replace('%%', '%')}" for one in added)
    words = ", ".join((str(limit.status.code), *headers))
    return f"limit {_bucket(limit.token_bucket)}, else {words}"


def _bucket(bucket: Any) -> str:
    each = f"{bucket.tokens_per_fill.value} each {duration(bucket.fill_interval)}"
    return f"{each}, {bucket.max_tokens} at one time"
