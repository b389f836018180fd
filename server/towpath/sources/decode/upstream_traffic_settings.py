"""UpstreamTrafficSetting: limits on connections to one destination."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.egress import ConnectionSettings, UpstreamTrafficSetting
from towpath.sources.decode import durations
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.schema import Schema

_HIGHEST = 2**32 - 1

_CLOSED = "an Egress that refers to the setting allows nothing"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        "host",
        "rateLimit",
        "httpRoutes",
        "httpHeaders",
        effect=_CLOSED,
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
    if not spec.text("host"):
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
        max_requests_per_connection=_limit(http, "maxRequestsPerConnection", findings),
        max_pending_requests=_limit(http, "maxPendingRequests", findings),
        max_retries=_limit(http, "maxRetries", findings),
    )
    closed = findings.count > before or any(
        reader.misspelt for reader in (top, spec, connections, tcp, http)
    )
    unsupported = (
        (spec, "rateLimit"),
        (spec, "httpRoutes"),
        (spec, "httpHeaders"),
        (tcp, "circuitBreaking"),
        (http, "circuitBreaking"),
    )
    for reader, name in unsupported:
        if reader.has(name):
            message = "not yet supported on egress; the other settings are used"
            findings.add(Code.UNSUPPORTED_FIELD, reader.path(name), message)
    return UpstreamTrafficSetting(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        settings=settings,
        closed=closed,
        stamp=top.stamp(),
    )


def _limit(reader: Reader, name: str, findings: Findings) -> int | None:
    value = reader.value(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST:
        return value
    if value is not None:
        allowed = f"an integer from 0 to {_HIGHEST}"
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
