"""What an Envoy sidecar is started with: who it is, and where its control plane listens."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from towpath_client import TlsFiles

ADMIN_PORT = 15000
_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class Transport(StrEnum):
    """The two variants of the xDS protocol, by Envoy's names."""

    SOTW = "GRPC"
    DELTA = "DELTA_GRPC"


def bootstrap(
    node_id: str,
    *,
    server: tuple[str, int] | Path,
    transport: Transport,
    tls: TlsFiles | None = None,
) -> dict[str, Any]:
    """The bootstrap of the sidecar *node_id* (`<pod>.<namespace>`), as Envoy's JSON.

    *server* is a host and port, or the path of a unix socket, which needs no network between; with
    *tls* the connection is mutual TLS.
    """
    subscription = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": node_id, "cluster": "sidecar"},
        "admin": {"address": _address("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": transport.value,
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "control-plane",
                            # By default Envoy waits up to 30 s before it dials again.
                            "retry_policy": {
                                "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.5s"}
                            },
                        }
                    }
                ],
            },
            "cds_config": subscription,
            "lds_config": subscription,
        },
        "static_resources": {"clusters": [_control_plane(server) | _security(server, tls)]},
    }


def _control_plane(server: tuple[str, int] | Path) -> dict[str, Any]:
    pipe = {"pipe": {"path": str(server)}}
    address = pipe if isinstance(server, Path) else _address(*server)
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": "control-plane",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "control-plane",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        # gRPC needs HTTP/2; without this Envoy never gets ready, and logs nothing about it.
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }


def _security(server: tuple[str, int] | Path, tls: TlsFiles | None) -> dict[str, Any]:
    if tls is None:
        return {}
    assert not isinstance(server, Path)
    # In the text, not as files: Envoy runs as a user who may not read the key's file.
    trusted = {
        "trusted_ca": {"inline_string": tls.ca.read_text()},
        "match_typed_subject_alt_names": [
            {"san_type": "IP_ADDRESS", "matcher": {"exact": server[0]}}
        ],
    }
    shown = {
        "certificate_chain": {"inline_string": tls.certificate.read_text()},
        "private_key": {"inline_string": tls.key.read_text()},
    }
    common = {
        "tls_certificates": [shown],
        "validation_context": trusted,
        "alpn_protocols": ["h2"],
    }
    typed = {"@type": f"type.googleapis.com/{_TLS}", "common_tls_context": common}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
