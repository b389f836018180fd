"""UpstreamTrafficSetting: limits on connections to one destination, and on how often a Service is
called.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.egress import ConnectionSettings, UpstreamTrafficSetting
from towpath.sources.decode import durations, rate_limits
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import service_named
from towpath.sources.decode.schema import Schema

_HIGHEST = 2**32 - 1

_CLOSED = "nothing is let through that the setting limits"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        "host",
        "httpHeaders",
        effect=_CLOSED,
        **rate_limits.schema(_CLOSED),
        connectionSettings=Schema.of(
            effect=_CLOSED,
            tcp=Schema.of("maxConnections", "connectTimeout", "circuitBreaking", effect=_CLOSED),
            http=Schema.of(
                "maxRequests",
                "maxRequestsPerConnection",
                "maxPendingRequests",
                "maxRetries",
                "circuitBreaking",
                effect=_CLOSED,
            ),
        ),
    ),
)


def upstream_traffic_setting(
    raw: Mapping[str, object], findings: Findings
) -> UpstreamTrafficSetting | None:
    """One setting; it is closed if a limit in it cannot be read, were it by its name."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    host = spec.text("host")
    if not host:
        findings.invalid(
            "spec.host", None, allowed="the host that is meant", effect="it is ignored"
        )
    before = findings.count
    connections = spec.section("connectionSettings")
    tcp, http = connections.section("tcp"), connections.section("http")
    settings = ConnectionSettings(
        max_connections=_limit(tcp, "maxConnections", findings),
        connect_timeout=_seconds(tcp, "connectTimeout", findings),
        max_requests=_limit(http, "maxRequests", findings),
        # Envoy takes 0 for no limit at all, which is not what was said.
        max_requests_per_connection=_limit(http, "maxRequestsPerConnection", findings, lowest=1),
        max_pending_requests=_limit(http, "maxPendingRequests", findings),
        max_retries=_limit(http, "maxRetries", findings),
    )
    closed = findings.count > before or any(
        reader.misspelt for reader in (top, spec, connections, tcp, http)
    )
    rates = rate_limits.RateLimitReader(spec, findings, closed=_CLOSED)
    limits = rates.limits()
    unsupported = (
        (spec, "httpHeaders"),
        (tcp, "circuitBreaking"),
        (http, "circuitBreaking"),
    )
    for reader, name in unsupported:
        if reader.has(name):
            message = "not supported; the other settings are used"
            findings.add(Code.UNSUPPORTED_FIELD, reader.path(name), message)
    return UpstreamTrafficSetting(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        settings=settings,
        closed=closed or rates.unclear,
        service=service_named(host, findings.ref.namespace),
        limits=limits,
        stamp=top.stamp(),
        host=host,
    )


def closed_setting(raw: Mapping[str, object], findings: Findings) -> UpstreamTrafficSetting:
    """One of which nothing can be read but whom it is about."""
    silent = Findings(findings.ref, findings.source)
    top = Reader(raw, "", silent)
    return UpstreamTrafficSetting(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        settings=ConnectionSettings(),
        closed=True,
        service=service_named(top.section("spec").text("host"), findings.ref.namespace),
        stamp=top.stamp(),
    )


def _limit(reader: Reader, name: str, findings: Findings, *, lowest: int = 0) -> int | None:
    value = reader.value(name)
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= _HIGHEST:
        return value
    if value is not None:
        allowed = f"an integer from {lowest} to {_HIGHEST}"
        findings.invalid(reader.path(name), value, allowed=allowed, effect=_CLOSED)
    return None


def _seconds(reader: Reader, name: str, findings: Findings) -> float | None:
    value = reader.value(name)
    seconds = durations.seconds(value)
    if seconds is not None and 0.001 <= seconds <= 3600:
        return seconds
    if value not in (None, ""):
        allowed = "a duration from 1ms to 1h, such as 5s or 1m30s"
        findings.invalid(reader.path(name), value, allowed=allowed, effect=_CLOSED)
    return None
