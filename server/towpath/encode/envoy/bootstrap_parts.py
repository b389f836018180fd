"""What several parts of a bootstrap are made of, as Envoy's JSON."""

from __future__ import annotations

from typing import Any

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def socket_address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def typed(type_name: str, **fields: Any) -> dict[str, Any]:
    """A message within an Any."""
    return {"@type": f"type.googleapis.com/{type_name}", **fields}
