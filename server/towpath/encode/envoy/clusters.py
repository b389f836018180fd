"""Clusters: where a chain or a route may send what it has caught."""

from __future__ import annotations

from functools import lru_cache

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster, UpstreamConnectionOptions
from envoy.config.core.v3.address_pb2 import Address, SocketAddress, TcpKeepalive
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from towpath.encode.envoy import names
from towpath.encode.envoy.tls import client_socket, where_marked
from towpath.encode.envoy.transparency import common_options, http2, upstream_http1
from towpath.encode.form import BLANK, Form, filled
from towpath.encode.pack import ads, pack, resource, seconds
from towpath.encode.unlimited import UNLIMITED
from towpath.model.egress import ConnectionSettings
from towpath.model.egress_plan import PASSTHROUGH
from towpath.model.identity import TlsParameters
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, Destinations, Inbound
from towpath.model.ports import ADMIN_PORT
from towpath.model.snapshot import Layer, Resource

CONNECT_SECONDS = 5.0
UNSET = ConnectionSettings()
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def outbound_clusters(destinations: Destinations) -> Layer:
    """A cluster for each in-mesh destination."""
    return Layer(tuple(_finished(_to(one), one) for one in destinations))


def mtls_cluster(destination: Destination, parameters: TlsParameters) -> Form:
    """The cluster of a destination that is called by mutual TLS, where that is taken. As whom is
    left blank: there are as many of these as accounts times services.
    """
    cluster = _to(destination)
    socket = client_socket(BLANK, destination.namespace, destination.service, parameters)
    if destination.direct:
        cluster.transport_socket.CopyFrom(socket)
    else:
        cluster.transport_socket_matches.extend(where_marked(socket))
    return Form.around(_finished(cluster, destination))


def called_as(account: Account, clusters: Layer) -> Layer:
    """These clusters of mutual TLS as *account* calls by them."""
    return filled(clusters, names.certificate_of(account))


def inbound_clusters(plan: Inbound) -> Layer:
    """A cluster for each port of the application itself, on loopback."""
    return Layer(
        tuple(
            finished(_static(p.cluster_name, "127.0.0.1", p.port), protocol=p.protocol)
            for p in plan.ports
            if p.probes != ()
        )
    )


def common_clusters() -> Layer:
    """What every sidecar holds. Passthrough's cluster always is there, so that the switch is one
    change of the listener alone.
    """
    passthrough = original_dst(PASSTHROUGH)
    admin = _static(names.ADMIN_CLUSTER, "127.0.0.1", ADMIN_PORT)
    return Layer((finished(passthrough), finished(admin)))


def _to(destination: Destination) -> Cluster:
    if destination.direct:
        return original_dst(destination.name)
    return Cluster(
        name=destination.name,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ads()),
    )


def _finished(cluster: Cluster, destination: Destination) -> Resource:
    return finished(cluster, protocol=destination.protocol, settings=destination.settings)


def original_dst(name: str) -> Cluster:
    """A cluster that dials the very address the client dialled."""
    return Cluster(name=name, type=Cluster.ORIGINAL_DST, lb_policy=Cluster.CLUSTER_PROVIDED)


def _static(name: str, host: str, port: int) -> Cluster:
    address = Address(socket_address=SocketAddress(address=host, port_value=port))
    endpoints = LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=Endpoint(address=address))])
    assignment = ClusterLoadAssignment(cluster_name=name, endpoints=[endpoints])
    return Cluster(name=name, type=Cluster.STATIC, load_assignment=assignment)


def finished(
    cluster: Cluster,
    *,
    protocol: Protocol = Protocol.HTTP,
    settings: ConnectionSettings = UNSET,
) -> Resource:
    """The cluster with what every cluster has, as a resource."""
    cluster.MergeFrom(_common(protocol, settings))
    return resource(cluster.name, cluster)


@lru_cache(maxsize=256)
def _common(protocol: Protocol, settings: ConnectionSettings) -> Cluster:
    """What every cluster of such a protocol and such settings has. Made once: there are thousands
    of clusters, and few of these.
    """
    limits = {
        "max_connections": settings.max_connections,
        "max_pending_requests": settings.max_pending_requests,
        "max_requests": settings.max_requests,
        "max_retries": settings.max_retries,
    }
    # Envoy's own default of 1,024 would be a limit that nobody asked for.
    values = {k: {"value": UNLIMITED if v is None else v} for k, v in limits.items()}
    common = Cluster(
        connect_timeout=seconds(settings.connect_timeout or CONNECT_SECONDS),
        circuit_breakers=CircuitBreakers(
            thresholds=[CircuitBreakers.Thresholds(track_remaining=True, **values)]
        ),
        # As nothing ends an idle connection, the kernel has to find out that the peer is gone.
        upstream_connection_options=UpstreamConnectionOptions(tcp_keepalive=TcpKeepalive()),
    )
    if protocol is Protocol.HTTP:
        options = pack(_http_options(settings))
        common.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(options)
    return common


def _http_options(settings: ConnectionSettings) -> HttpProtocolOptions:
    """Upstream HTTP as the client speaks it: HTTP/1.1 stays that, and HTTP/2 does."""
    options = HttpProtocolOptions(
        common_http_protocol_options=common_options(upstream=True),
        use_downstream_protocol_config=HttpProtocolOptions.UseDownstreamHttpConfig(
            http_protocol_options=upstream_http1(), http2_protocol_options=http2()
        ),
    )
    if settings.max_requests_per_connection is not None:
        common = options.common_http_protocol_options
        common.max_requests_per_connection.value = settings.max_requests_per_connection
    return options
