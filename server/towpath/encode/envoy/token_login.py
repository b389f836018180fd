"""How a sidecar logs in with its pod's token: it trusts the roots, and sends the token with each
stream, as it is then in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from towpath.encode.envoy.bootstrap import CONTROL_PLANE, Transport, bootstrap
from towpath.encode.envoy.bootstrap_parts import HTTP_OPTIONS, UPSTREAM_TLS, typed
from towpath.model.addresses import is_address

_INJECTOR = "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector"
_GENERIC = "envoy.extensions.http.injected_credentials.generic.v3.Generic"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
_NAME = "token"


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """Paths in the sidecar's container: the token that Kubernetes keeps fresh, and the file that
    says where it is.
    """

    token: PurePosixPath
    credential: PurePosixPath


def token_bootstrap(
    server: tuple[str, int],
    roots: bytes | PurePosixPath,
    files: TokenFiles,
    *,
    node_id: str = "",
    transport: Transport = Transport.DELTA,
    longest_redial_s: float = 10.0,
) -> dict[str, Any]:
    """The bootstrap of every sidecar that logs in so, as Envoy's JSON, unless it is for *node_id*
    alone; *roots* are PEM, public, or a file of such.
    """
    document = bootstrap(
        node_id, server=server, transport=transport, longest_redial_s=longest_redial_s
    )
    (cluster,) = document["static_resources"]["clusters"]
    assert cluster["name"] == CONTROL_PLANE
    cluster["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": _tls(server[0], roots),
    }
    cluster["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"] = [
        {"name": "envoy.filters.http.credential_injector", "typed_config": _injector(files)},
        {"name": "envoy.filters.http.upstream_codec", "typed_config": typed(_CODEC)},
    ]
    return document


def credential(files: TokenFiles) -> dict[str, Any]:
    """What is in `files.credential`: a subscription to the token.

    A secret within the bootstrap would be read once, and go stale.
    """
    source = {
        "filename": str(files.token),
        "watched_directory": {"path": str(files.token.parent)},
    }
    secret = typed(_SECRET, name=_NAME, generic_secret={"secret": source})
    return {"resources": [secret]}


def _injector(files: TokenFiles) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(files.credential)}, "resource_api_version": "V3"}
    # Without "Bearer": only newer Envoys can say it, and the server does not need it.
    generic = typed(_GENERIC, credential={"name": _NAME, "sds_config": source})
    return typed(
        _INJECTOR,
        overwrite=True,
        credential={
            "name": "envoy.http.injected_credentials.generic",
            "typed_config": generic,
        },
    )


def _tls(server_name: str, roots: bytes | PurePosixPath) -> dict[str, Any]:
    by_address = is_address(server_name)
    kind = "IP_ADDRESS" if by_address else "DNS"
    name = {"san_type": kind, "matcher": {"exact": server_name}}
    # An address is no server name.
    sni = {} if by_address else {"sni": server_name}
    trusted = (
        {"inline_string": roots.decode()} if isinstance(roots, bytes) else {"filename": str(roots)}
    )
    return typed(
        UPSTREAM_TLS,
        **sni,
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {
                "trusted_ca": trusted,
                "match_typed_subject_alt_names": [name],
            },
        },
    )
