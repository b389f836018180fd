"""The ports of a sidecar itself, as Open Service Mesh numbers them."""

from __future__ import annotations

ADMIN_PORT = 15000
OUTBOUND_PORT = 15001
"""Where every connection out is caught: one to that port is never let out."""
INBOUND_PORT = 15003
PROMETHEUS_PORT = 15010
LIVENESS_PORT, READINESS_PORT, STARTUP_PORT = 15901, 15902, 15903
"""Where the kubelet asks in place of the application, by HTTP."""
HEALTH_PORT = 15904
"""Where it asks what the sidecar itself has found out about a port of the application."""

PROBE_PORTS = frozenset({LIVENESS_PORT, READINESS_PORT, STARTUP_PORT, HEALTH_PORT})
SIDECAR_PORTS = frozenset({ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT, PROMETHEUS_PORT})
"""Led to one of them by a service, a sidecar would dial itself without end."""
