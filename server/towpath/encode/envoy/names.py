"""Names and ports that people look for in a sidecar, kept as Open Service Mesh has them; and what a
name says of the objects that its resource is made from.
"""

from __future__ import annotations

from towpath.model.names import Account
from towpath.model.plan import Destination, InboundPort, destination_of

OUTBOUND_LISTENER = "outbound-listener"
INBOUND_LISTENER = "inbound-listener"
PROMETHEUS_LISTENER = "prometheus-listener"

OUTBOUND_MESH, INBOUND_MESH = "outbound-mesh.", "inbound-mesh."
INBOUND_PLAIN, INBOUND_PROBES = "inbound-plain.", "inbound-probes."
OUTBOUND_ROUTES, INBOUND_ROUTES = "rds-outbound.", "rds-inbound."
MTLS_ROUTES, PROBE_ROUTES = "rds-inbound-mtls.", "rds-inbound-probes."
SELF_LOOP_GUARD = "self-loop-guard"
PASSTHROUGH_CHAIN = "outbound-egress-filter-chain"
RBAC_FILTER = "envoy.filters.http.rbac"
REFUSED_ROUTE = "refused"
REFUSED_CHAIN = "outbound-refused."
HTTP_CHAIN = "egress-http."
REFUSED_NAME_CHAIN = "egress-refused."
TLS_CHAINS = ("egress-https.", "egress-tcp-tls.")
EGRESS_ROUTES = "rds-egress."
ADMIN_CLUSTER = "sidecar-admin"


def outbound_chain(destination: Destination) -> str:
    return f"{OUTBOUND_MESH}{destination.name}"


def outbound_routes_of(destination: Destination) -> str:
    return f"{OUTBOUND_ROUTES}{destination.name}"


def inbound_chain(port: InboundPort) -> str:
    return f"{INBOUND_MESH if port.probes is None else INBOUND_PROBES}{port.port}"


def inbound_plain_chain(port: InboundPort) -> str:
    """The chain of what comes in plaintext where mutual TLS is taken too."""
    return f"{INBOUND_PLAIN if port.probes is None else INBOUND_PROBES}{port.port}"


def certificate_of(account: Account) -> str:
    """The secret with an account's certificate and key."""
    return f"service-cert:{account}"


def trust_of_server(account: Account) -> str:
    """The secret that says whom the sidecars of an account let in."""
    return f"root-cert-for-mtls-inbound:{account}"


def trust_of_client(namespace: str, service: str) -> str:
    """The secret that says who may answer for a service."""
    return f"root-cert-for-mtls-outbound:{namespace}/{service}"


def inbound_routes_of(port: InboundPort) -> str:
    return f"{INBOUND_ROUTES}{port.port}"


def mtls_routes_of(port: InboundPort) -> str:
    """What may be asked by mutual TLS, where the certificate tells who calls."""
    return f"{MTLS_ROUTES}{port.port}"


def inbound_chain_from(chain: str, address: str) -> str:
    """The chain of connections from one address alone."""
    return f"{chain}@{address}"


def probe_routes_of(port: InboundPort) -> str:
    """The kubelet's requests on a port that lets in nothing else but mutual TLS."""
    return f"{PROBE_ROUTES}{port.port}"


def egress_routes_of(port: int, range_: str | None) -> str:
    return f"{EGRESS_ROUTES}{port}" + (f"|{range_}" if range_ else "")


def service_of(name: str) -> tuple[str, str] | None:
    """Namespace and name of the Service that clusters, endpoints or routes of this name are for:
    the inverse of `Destination.name` and `outbound_routes_of`.
    """
    destination = destination_of(name.removeprefix(OUTBOUND_ROUTES))
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
