"""Mutual TLS between sidecars: the transport sockets of both ends.

Certificates, and whom to trust, come as secrets (`secrets`) on the stream that this comes from.
"""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3 import common_pb2 as common
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from google.protobuf.struct_pb2 import Struct

from towpath.encode.endpoints import mark
from towpath.encode.envoy import names
from towpath.encode.pack import ads, pack
from towpath.model.identity import TlsParameters, server_name
from towpath.model.names import Account

ALPN = "osm"
"""What tells mutual TLS of the mesh from the applications' own: only a client says it."""


def server_socket(account: Account, parameters: TlsParameters) -> TransportSocket:
    """What takes mutual TLS as *account*; nobody comes in without a certificate.

    It answers no ALPN, which would say what is spoken inside. It resumes no session: one that is
    resumed lives on when the client's certificate has ended.
    """
    context = DownstreamTlsContext(
        common_tls_context=_context(
            names.certificate_of(account), parameters, trust=names.trust_of_server(account)
        ),
        require_client_certificate={"value": True},
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def client_socket(
    certificate: str, namespace: str, service: str, parameters: TlsParameters
) -> TransportSocket:
    """What calls a service by mutual TLS with the secret *certificate*."""
    tls = _context(certificate, parameters, trust=names.trust_of_client(namespace, service))
    tls.alpn_protocols.append(ALPN)
    context = UpstreamTlsContext(
        common_tls_context=tls,
        sni=server_name(namespace, service),
        max_session_keys={"value": 0},
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def where_marked(socket: TransportSocket) -> list[Cluster.TransportSocketMatch]:
    """That socket for endpoints that have the `mark`, and plaintext for all others."""
    match = Cluster.TransportSocketMatch
    plain = TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(RawBuffer())
    )
    return [
        match(name="mtls", match=mark(), transport_socket=socket),
        match(name="plaintext", match=Struct(), transport_socket=plain),
    ]


def only_parameters_differ(one: FilterChain, other: FilterChain) -> bool:
    """True if the chains take mutual TLS as one account from the same callers, and differ in the
    versions, ciphers or curves that they offer.
    """
    if one.transport_socket == other.transport_socket:
        return False
    contexts = []
    for chain in (one, other):
        context = DownstreamTlsContext()
        if not chain.transport_socket.typed_config.Unpack(context):
            return False
        context.common_tls_context.ClearField("tls_params")
        contexts.append(context)
    first, second = contexts
    same: bool = first == second
    return same


def _context(certificate: str, parameters: TlsParameters, *, trust: str) -> CommonTlsContext:
    versions = common.TlsParameters.TlsProtocol
    return CommonTlsContext(
        tls_params=common.TlsParameters(
            tls_minimum_protocol_version=versions.Value(parameters.minimum),
            tls_maximum_protocol_version=versions.Value(parameters.maximum),
            cipher_suites=parameters.ciphers,
            ecdh_curves=parameters.curves,
        ),
        tls_certificate_sds_secret_configs=[_secret(certificate)],
        validation_context_sds_secret_config=_secret(trust),
    )


def _secret(name: str) -> SdsSecretConfig:
    return SdsSecretConfig(name=name, sds_config=ads())
