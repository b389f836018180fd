"""How a sidecar logs in with its pod's token: it trusts the roots, and sends the token with each
stream, as it is then in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from towpath.encode.envoy.bootstrap import CONTROL_PLANE, Transport, bootstrap
from towpath.encode.envoy.bootstrap_parts import HTTP_OPTIONS, UPSTREAM_TLS, typed

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
    server: tuple[str, int], roots: bytes, files: TokenFiles, *, longest_redial_s: float = 10.0
) -> dict[str, Any]:
    """The bootstrap of every sidecar that logs in so, as Envoy's JSON; *roots* are PEM, public."""
    document = bootstrap(
        "", server=server, transport=Transport.DELTA, longest_redial_s=longest_redial_s
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


def _tls(server_name: str, roots: bytes) -> dict[str, Any]:
    name = {"san_type": "DNS", "matcher": {"exact": server_name}}
    return typed(
        UPSTREAM_TLS,
        sni=server_name,
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {
                "trusted_ca": {"inline_string": roots.decode()},
                "match_typed_subject_alt_names": [name],
            },
        },
    )
