"""The access log on the sidecar's standard output, one JSON object a line."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.stream.v3.stream_pb2 import StdoutAccessLog
from google.protobuf.struct_pb2 import Struct

from towpath.encode.pack import pack

_CONNECTION = {
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


def connection_log() -> AccessLog:
    """A line for every connection; a refused one has the flag NR and no filter chain."""
    json_format = Struct()
    json_format.update(_CONNECTION)
    sink = StdoutAccessLog(log_format=SubstitutionFormatString(json_format=json_format))
    return AccessLog(name="envoy.access_loggers.stdout", typed_config=pack(sink))
