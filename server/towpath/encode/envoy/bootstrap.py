"""What an Envoy sidecar is started with: who it is, and where its control plane listens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from towpath.model.addresses import is_address
from towpath.model.ports import ADMIN_PORT

CONTROL_PLANE = "control-plane"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


class Transport(StrEnum):
    """The two variants of the xDS protocol, by Envoy's names."""

    SOTW = "GRPC"
    DELTA = "DELTA_GRPC"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Paths, in the sidecar's container, of what it shows and trusts.

    `server_name` is the name, or the address, that the control plane's certificate must have.
    """

    ca: str
    certificate: str
    key: str
    server_name: str


def bootstrap(
    node_id: str,
    *,
    server: tuple[str, int] | Path,
    transport: Transport,
    tls: ClientTls | None = None,
    longest_redial_s: float = 10.0,
) -> dict[str, Any]:
    """The bootstrap of the sidecar *node_id* (`<pod>.<namespace>`), as Envoy's JSON.

    With "" it has no id, and Envoy is told by `--service-node`. *server* is a host and port, or
    the path of a unix socket, which needs no network between.
    """
    subscription = {"ads": {}, "resource_api_version": "V3"}
    # By default Envoy waits up to 30 s before it dials again.
    redial = {"base_interval": "0.1s", "max_interval": f"{longest_redial_s:g}s"}
    node = {"id": node_id, "cluster": "sidecar"} if node_id else {"cluster": "sidecar"}
    return {
        "node": node,
        "admin": {"address": _address("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": transport.value,
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": CONTROL_PLANE,
                            "retry_policy": {"retry_back_off": redial},
                        }
                    }
                ],
            },
            "cds_config": subscription,
            "lds_config": subscription,
        },
        "static_resources": {"clusters": [_control_plane(server, tls)]},
    }


def _control_plane(server: tuple[str, int] | Path, tls: ClientTls | None) -> dict[str, Any]:
    if isinstance(server, Path):
        cluster = _cluster({"pipe": {"path": str(server)}}, by_name=False)
    else:
        cluster = _cluster(_address(*server), by_name=not is_address(server[0]))
    # gRPC needs HTTP/2; without this Envoy never gets ready, and logs nothing about it. The pings
    # find a control plane that is gone without a word, with its node.
    http2 = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
    cluster["typed_extension_protocol_options"] = {
        _HTTP_OPTIONS: _any(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": http2})
    }
    if tls is not None:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _tls(tls),
        }
    return cluster


def _tls(tls: ClientTls) -> dict[str, Any]:
    by_address = is_address(tls.server_name)
    kind = "IP_ADDRESS" if by_address else "DNS"
    name = {"san_type": kind, "matcher": {"exact": tls.server_name}}
    # An address is no server name.
    sni = {} if by_address else {"sni": tls.server_name}
    pair = {
        "certificate_chain": {"filename": tls.certificate},
        "private_key": {"filename": tls.key},
    }
    return _any(
        _UPSTREAM_TLS,
        **sni,
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [pair],
            "validation_context": {
                "trusted_ca": {"filename": tls.ca},
                "match_typed_subject_alt_names": [name],
            },
        },
    )


def _cluster(address: dict[str, Any], *, by_name: bool) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address}}
    cluster: dict[str, Any] = {
        "name": CONTROL_PLANE,
        "type": "STRICT_DNS" if by_name else "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": CONTROL_PLANE,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    if by_name:
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    return cluster


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _any(type_name: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{type_name}", **fields}
