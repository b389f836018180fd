"""Names and ports that people look for in a sidecar, kept as Open Service Mesh has them; and what a
name says of the objects that its resource is made from.
"""

from __future__ import annotations

from towpath.model.plan import LOCAL, Destination, InboundPort, destination_of

OUTBOUND_LISTENER = "outbound-listener"
INBOUND_LISTENER = "inbound-listener"
PROMETHEUS_LISTENER = "prometheus-listener"

OUTBOUND_MESH, INBOUND_MESH = "outbound-mesh.", "inbound-mesh."
INBOUND_PROBES = "inbound-probes."
OUTBOUND_ROUTES, INBOUND_ROUTES = "rds-outbound.", "rds-inbound."
SELF_LOOP_GUARD = "self-loop-guard"
PASSTHROUGH_CHAIN = "outbound-egress-filter-chain"
REFUSED_ROUTE = "refused"
EGRESS_ROUTES = "rds-egress."
ADMIN_CLUSTER = "sidecar-admin"


def outbound_chain(destination: Destination) -> str:
    return f"{OUTBOUND_MESH}{destination.name}"


def outbound_routes_of(destination: Destination) -> str:
    return f"{OUTBOUND_ROUTES}{destination.name}"


def inbound_chain(port: InboundPort) -> str:
    return f"{INBOUND_MESH if port.probes is None else INBOUND_PROBES}{port.port}"


def inbound_routes_of(port: InboundPort) -> str:
    return f"{INBOUND_ROUTES}{port.port}"


def egress_routes_of(port: int, range_: str | None) -> str:
    return f"{EGRESS_ROUTES}{port}" + (f"|{range_}" if range_ else "")


def service_of(name: str) -> tuple[str, str] | None:
    """Namespace and name of the Service that clusters, endpoints or routes of this name are for:
    the inverse of `Destination.name`, `outbound_routes_of` and `InboundPort.cluster_name`.
    """
    destination = destination_of(name.removeprefix(OUTBOUND_ROUTES).removesuffix(LOCAL))
    return destination and destination[:2]


def egress_port_of(name: str) -> int | None:
    """The port of the policies that routes of this name are for: the inverse of
    `egress_routes_of`.
    """
    if not name.startswith(EGRESS_ROUTES):
        return None
    port = name.removeprefix(EGRESS_ROUTES).partition("|")[0]
    return int(port) if port.isdecimal() else None


def in_statistics(name: str) -> str:
    """*name* as one word of a statistic's name, as in Open Service Mesh: `httpbin_org_80`."""
    return name.replace(".", "_").replace(":", "_")
