"""Names and ports that people look for in a sidecar, kept as Open Service Mesh has them."""

from __future__ import annotations

from towpath.model.plan import Destination, InboundPort

OUTBOUND_LISTENER = "outbound-listener"
INBOUND_LISTENER = "inbound-listener"
PROMETHEUS_LISTENER = "prometheus-listener"

ADMIN_PORT = 15000
OUTBOUND_PORT = 15001
INBOUND_PORT = 15003
PROMETHEUS_PORT = 15010

OUTBOUND_MESH, INBOUND_MESH = "outbound-mesh.", "inbound-mesh."
INBOUND_PROBES = "inbound-probes."
INBOUND_ROUTES = "rds-inbound."
SELF_LOOP_GUARD = "self-loop-guard"
PASSTHROUGH_CHAIN = "outbound-egress-filter-chain"
REFUSED_ROUTE = "refused"
EGRESS_ROUTES = "rds-egress."
ADMIN_CLUSTER = "sidecar-admin"


def outbound_chain(destination: Destination) -> str:
    return f"{OUTBOUND_MESH}{destination.name}"


def outbound_routes_of(destination: Destination) -> str:
    return f"rds-outbound.{destination.name}"


def inbound_chain(port: InboundPort) -> str:
    return f"{INBOUND_MESH if port.probes is None else INBOUND_PROBES}{port.port}"


def inbound_routes_of(port: InboundPort) -> str:
    return f"{INBOUND_ROUTES}{port.port}"


def local_cluster(port: InboundPort) -> str:
    """The cluster of the application's own port, under the name of its first service, or, where
    none leads to it, of who probes it.
    """
    return f"{port.services[0] if port.services else 'kubelet'}|{port.port}|local"


def egress_routes_of(port: int, range_: str | None) -> str:
    return f"{EGRESS_ROUTES}{port}" + (f"|{range_}" if range_ else "")


def alt_stat_name(name: str) -> str:
    """A cluster's name in statistics, as Open Service Mesh writes it: `httpbin_org_80`."""
    return name.replace(".", "_").replace(":", "_")


def stat_prefix(name: str) -> str:
    """*name* as one word of a statistic's name: dots would split it."""
    return name.replace(".", "_").replace(":", "_")
