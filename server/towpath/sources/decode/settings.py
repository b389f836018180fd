"""UpstreamTrafficSetting: limits on connections to one destination."""

from __future__ import annotations

import re
from collections.abc import Mapping

from towpath.model.egress import ConnectionSettings, UpstreamTrafficSetting
from towpath.model.problem import Reason
from towpath.sources.decode.fields import Known, Reader
from towpath.sources.decode.findings import Findings

_HIGHEST = 2**32 - 1
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")

KNOWN = Known.of(
    "apiVersion",
    "kind",
    "metadata",
    "status",
    spec=Known.of(
        "host",
        "rateLimit",
        "httpRoutes",
        connectionSettings=Known.of(
            tcp=Known.of("maxConnections", "connectTimeout"),
            http=Known.of(
                "maxRequests",
                "maxRequestsPerConnection",
                "maxPendingRequests",
                "maxRetries",
                "circuitBreaking",
            ),
        ),
    ),
)


def upstream_traffic_setting(
    raw: Mapping[str, object], found: Findings
) -> UpstreamTrafficSetting | None:
    top = Reader(raw, "", found)
    top.report_unknown(KNOWN)
    spec = top.section("spec")
    if not spec.text("host"):
        found.invalid("spec.host", None, allowed="the host that is meant", effect="it is ignored")
    connections = spec.section("connectionSettings")
    tcp, http = connections.section("tcp"), connections.section("http")
    for reader, name in ((spec, "rateLimit"), (spec, "httpRoutes"), (http, "circuitBreaking")):
        if reader.has(name):
            message = "not yet supported on egress; the other settings are used"
            found.add(Reason.NOT_SUPPORTED, reader.path(name), message)
    return UpstreamTrafficSetting(
        namespace=found.ref.namespace,
        name=found.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        settings=ConnectionSettings(
            max_connections=_limit(tcp, "maxConnections"),
            connect_timeout=_seconds(tcp, "connectTimeout"),
            max_requests=_limit(http, "maxRequests"),
            max_requests_per_connection=_limit(http, "maxRequestsPerConnection"),
            max_pending_requests=_limit(http, "maxPendingRequests"),
            max_retries=_limit(http, "maxRetries"),
        ),
        stamp=top.stamp(),
    )


def _limit(reader: Reader, name: str) -> int | None:
    value = reader.number(name, lowest=0, highest=_HIGHEST, default=-1)
    return None if value < 0 else value


def _seconds(reader: Reader, name: str) -> float | None:
    text = reader.text(name)
    if not text:
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if _DURATION.fullmatch(text) and 0.001 <= seconds <= 3600:
        return seconds
    reader.left_out(name, text, allowed="a duration from 1ms to 1h, such as 5s or 1m30s")
    return None
