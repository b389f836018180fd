"""The services of the protocol: each type's URL, its own service, and that service's methods."""

from __future__ import annotations

from dataclasses import dataclass

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
UNKNOWN = "type.googleapis.com/envoy.service.runtime.v3.Runtime"

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET)
WHOLE = (CLUSTER, LISTENER)
"""Types whose SotW responses are the whole state, and that have a wildcard without a name."""

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService"


@dataclass(frozen=True, slots=True)
class Methods:
    """Full method names of one variant for SotW, delta and unary requests."""

    sotw: str
    delta: str
    fetch: str = ""


def _own(service: str, things: str) -> Methods:
    path = f"/envoy.service.{service}"
    return Methods(f"{path}/Stream{things}", f"{path}/Delta{things}", f"{path}/Fetch{things}")


AGGREGATED = Methods(f"{ADS}/StreamAggregatedResources", f"{ADS}/DeltaAggregatedResources")
OWN = {
    CLUSTER: _own("cluster.v3.ClusterDiscoveryService", "Clusters"),
    ENDPOINTS: _own("endpoint.v3.EndpointDiscoveryService", "Endpoints"),
    LISTENER: _own("listener.v3.ListenerDiscoveryService", "Listeners"),
    ROUTES: _own("route.v3.RouteDiscoveryService", "Routes"),
    SECRET: _own("secret.v3.SecretDiscoveryService", "Secrets"),
}
"""By type URL: the service of that type alone."""


def short(type_url: str) -> str:
    """`Cluster`, `Listener`, …: fit for a test's name."""
    return type_url.rpartition(".")[2]
