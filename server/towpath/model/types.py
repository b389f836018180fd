"""Type URLs of the resources that sidecars subscribe to, and the short names people use."""

from __future__ import annotations

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a type, not a password)
SIDECAR = "type.googleapis.com/towpath.v1.SidecarConfig"

SHORT_NAMES = {
    SECRET: "sds",
    CLUSTER: "cds",
    ENDPOINTS: "eds",
    LISTENER: "lds",
    ROUTES: "rds",
    SIDECAR: "sidecar",
}
"""Every type that Towpath serves, in the order in which a change is sent: make before break."""


def short_name(type_url: str) -> str:
    """`cds`, `lds`, …; "other" for a type that is not served: bounded, fit to label a metric."""
    return SHORT_NAMES.get(type_url, "other")
