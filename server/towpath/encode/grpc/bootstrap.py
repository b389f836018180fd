"""What a gRPC client of xDS is started with: who it is, and where its control plane listens."""

from __future__ import annotations

from typing import Any

from towpath.encode.envoy.bootstrap import ClientTls

SERVER_FEATURES = ("xds_v3", "fail_on_data_errors")
"""`xds_v3` is for old clients. Without the other a client goes on with what it was told not to
exist, or not to be its own: https://github.com/grpc/proposal/blob/master/A88-xds-data-error-handling.md
"""


def bootstrap(
    node_id: str, *, server: tuple[str, int], tls: ClientTls | None, token: str = ""
) -> dict[str, Any]:
    """The bootstrap of the client in the pod *node_id* (`<pod>.<namespace>`), as gRPC's JSON.

    With the path of a *token* the client shows that in place of a certificate:
    https://github.com/grpc/proposal/blob/master/A97-xds-jwt-call-creds.md
    """
    host, port = server
    credentials: dict[str, Any] = {"type": "insecure"}
    if tls is not None:
        files = {
            "ca_certificate_file": tls.ca,
            "certificate_file": tls.certificate,
            "private_key_file": tls.key,
        }
        if token:
            files = {"ca_certificate_file": tls.ca}
        credentials = {"type": "tls", "config": files}
    shown = {"type": "jwt_token_file", "config": {"jwt_token_file": token}}
    calls = {"call_creds": [shown]} if token else {}
    return {
        "xds_servers": [
            {
                "server_uri": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
                "channel_creds": [credentials],
                **calls,
                "server_features": list(SERVER_FEATURES),
            }
        ],
        # Node.js takes no bootstrap without the last two.
        "node": {"id": node_id, "cluster": "grpc", "locality": {"region": "local"}},
    }
