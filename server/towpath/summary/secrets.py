"""Secrets: what each is for, and whom it trusts; never what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    DownstreamTlsContext,
    UpstreamTlsContext,
)

from towpath.model.identity import TLS_DEFAULTS
from towpath.summary.layout import Block


def secret(data: bytes) -> Block:
    """A line for each name that is trusted; of a certificate none."""
    message = Secret.FromString(data)
    lines = tuple(_names(message.validation_context))
    return Block(f"secret {message.name}, {_kind(message)}", lines)


def _kind(message: Any) -> str:
    kind = str(message.WhichOneof("type") or "empty")
    return {"tls_certificate": "certificate and key", "validation_context": "trust"}.get(kind, kind)


def _names(context: Any) -> Iterator[str]:
    for one in context.match_typed_subject_alt_names:
        how = str(one.matcher.WhichOneof("match_pattern"))
        yield f"{one.SanType.Name(one.san_type)} {how} {getattr(one.matcher, how)}"


def server_tls(socket: Any) -> Iterator[str]:
    """The secrets by which a chain takes TLS; nothing for one in plaintext."""
    context = DownstreamTlsContext()
    if socket.typed_config.Unpack(context):
        required = "mutual TLS" if context.require_client_certificate.value else "TLS"
        yield f"{required} ({_secrets(context.common_tls_context)})"


def client_tls(socket: Any) -> Iterator[str]:
    """The secrets by which a cluster connects with TLS, and what it says; nothing for plaintext."""
    context = UpstreamTlsContext()
    if socket.typed_config.Unpack(context):
        tls = context.common_tls_context
        yield f"mutual TLS (SNI {context.sni}, {', '.join(tls.alpn_protocols)}; {_secrets(tls)})"


def _secrets(tls: Any) -> str:
    own = ", ".join(one.name for one in tls.tls_certificate_sds_secret_configs)
    parts = (own, tls.validation_context_sds_secret_config.name, *_offers(tls.tls_params))
    return "; ".join(parts)


def _offers(params: Any) -> Iterator[str]:
    """What differs from what both ends offer where nobody says anything."""
    name = params.TlsProtocol.Name
    oldest, newest = (
        name(version)
        for version in (params.tls_minimum_protocol_version, params.tls_maximum_protocol_version)
    )
    if (oldest, newest) != (TLS_DEFAULTS.minimum, TLS_DEFAULTS.maximum):
        yield f"{oldest} to {newest}"
    if params.cipher_suites:
        yield f"ciphers {', '.join(params.cipher_suites)}"
    if params.ecdh_curves:
        yield f"curves {', '.join(params.ecdh_curves)}"
