"""Access logs on the sidecar's standard output, one JSON object a line."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.stream.v3.stream_pb2 import StdoutAccessLog
from google.protobuf.struct_pb2 import Struct

from towpath.encode.pack import pack

_CONNECTION = {
    "log": "connection",
    "start_time": "%START_TIME%",
    "response_flags": "%RESPONSE_FLAGS%",
    "filter_chain_name": "%FILTER_CHAIN_NAME%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
}

_REQUEST = {
    **_CONNECTION,
    "log": "request",
    "protocol": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(:PATH)%",
    "response_code": "%RESPONSE_CODE%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "route_name": "%ROUTE_NAME%",
}


def connection_log() -> AccessLog:
    """A line for every connection; a refused one has the flag NR and no filter chain."""
    return _log(_CONNECTION)


def request_log() -> AccessLog:
    """A line for every HTTP request out of the mesh.

    One for a host that no policy names has the flag NR; one that is not allowed for a host that
    policies name has the route `refused`; else the route has the policies' names.
    """
    return _log(_REQUEST)


def _log(fields: dict[str, str]) -> AccessLog:
    json_format = Struct()
    json_format.update(fields)
    sink = StdoutAccessLog(log_format=SubstitutionFormatString(json_format=json_format))
    return AccessLog(name="envoy.access_loggers.stdout", typed_config=pack(sink))
