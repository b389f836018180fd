"""Access logs: on the sidecar's standard output, one JSON object a line; and if somebody observes
what leaves the mesh, as reports to the control plane.
"""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    ExtensionFilter,
    MetadataFilter,
    OrFilter,
    ResponseFlagFilter,
)
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)
from envoy.extensions.access_loggers.stream.v3.stream_pb2 import StdoutAccessLog
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from google.protobuf.struct_pb2 import Struct

from towpath.encode.envoy.bootstrap import CONTROL_PLANE
from towpath.encode.envoy.names import HTTP_CHAIN, OUTBOUND_MESH, RBAC_FILTER, REFUSED_CHAIN
from towpath.encode.pack import pack, seconds

REPORTS = "towpath"
"""The name of the log in the reports."""

FLUSH_SECONDS = 5.0
FLUSH_BYTES = 64 << 10
"""Reports are sent together when so much time has passed, or there are so many."""

_CEL = "envoy.access_loggers.extension_filters.cel"
_OUTWARD = " && ".join(
    f"!xds.filter_chain_name.startsWith('{prefix}')"
    for prefix in (OUTBOUND_MESH, REFUSED_CHAIN, HTTP_CHAIN)
)
"""Not what stays in the mesh, nor a connection whose requests are reported one by one."""

_CONNECTION_TAGS = {"log": "connection", "chain": "%FILTER_CHAIN_NAME%"}
_REQUEST_TAGS = {
    "log": "request",
    "authority": "%REQ(:AUTHORITY)%",
    "method": "%REQ(:METHOD)%",
}

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


ENFORCED, SHADOW, DENIED = "enforced_engine_result", "shadow_engine_result", "denied"
"""What RBAC writes down of a request, and of one that it refuses, or would refuse."""

REFUSAL = "refusal"
_REFUSAL = {
    "log": REFUSAL,
    "start_time": "%START_TIME%",
    "filter_chain_name": "%FILTER_CHAIN_NAME%",
    "downstream_remote_address": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(:PATH)%",
    "enforced": f"%DYNAMIC_METADATA({RBAC_FILTER}:{ENFORCED})%",
}
_REFUSAL_TAGS = {name: _REFUSAL[name] for name in ("log", "peer", "method", "enforced")}


def connection_log() -> AccessLog:
    """A line for every connection; a refused one has the flag NR and no filter chain."""
    return _log(_CONNECTION)


def request_log() -> AccessLog:
    """A line for every HTTP request out of the mesh.

    One for a host that no policy names has the flag NR; one that is not allowed for a host that
    policies name has the route `refused`; else the route has the policies' names.
    """
    return _log(_REQUEST)


def connection_report() -> AccessLog:
    """A report of every connection that leaves the mesh, or was refused; none of those in it."""
    log = _report(_CONNECTION_TAGS)
    # A refused one may have no chain, of which the expression could say nothing.
    refused = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["NR"]))
    expression = pack(ExpressionFilter(expression=_OUTWARD))
    outward = AccessLogFilter(extension_filter=ExtensionFilter(name=_CEL, typed_config=expression))
    log.filter.CopyFrom(AccessLogFilter(or_filter=OrFilter(filters=[refused, outward])))
    return log


def request_report() -> AccessLog:
    """A report of every HTTP request out of the mesh, without path, query or headers."""
    return _report(_REQUEST_TAGS)


def _report(tags: dict[str, str]) -> AccessLog:
    """Fields and texts, by a connection of its own to the control plane.

    What cannot be sent in time is dropped by Envoy, which counts it.
    """
    sink = TcpGrpcAccessLogConfig(
        common_config=CommonGrpcAccessLogConfig(
            log_name=REPORTS,
            grpc_service=GrpcService(
                envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=CONTROL_PLANE),
            ),
            transport_api_version=ApiVersion.V3,
            buffer_flush_interval=seconds(FLUSH_SECONDS),
            buffer_size_bytes={"value": FLUSH_BYTES},
            custom_tags=[CustomTag(tag=name, value=text) for name, text in tags.items()],
        )
    )
    return AccessLog(name="envoy.access_loggers.tcp_grpc", typed_config=pack(sink))


def refusal_log() -> AccessLog:
    """A line for every request into a pod that TrafficTargets refuse, or would refuse if they
    decided; `enforced` tells which.
    """
    return _of_refusals(_log(_REFUSAL))


def refusal_report() -> AccessLog:
    """A report of the same requests, without path, query or headers."""
    return _of_refusals(_report(_REFUSAL_TAGS))


def _of_refusals(log: AccessLog) -> AccessLog:
    either = [_said(ENFORCED), _said(SHADOW)]
    log.filter.CopyFrom(AccessLogFilter(or_filter=OrFilter(filters=either)))
    return log


def _said(key: str) -> AccessLogFilter:
    """What RBAC has written down under the key is a refusal."""
    denied = ValueMatcher(string_match=StringMatcher(exact=DENIED))
    path = [MetadataMatcher.PathSegment(key=key)]
    matcher = MetadataMatcher(filter=RBAC_FILTER, path=path, value=denied)
    otherwise = MetadataFilter(matcher=matcher, match_if_key_not_found={"value": False})
    return AccessLogFilter(metadata_filter=otherwise)


def _log(fields: dict[str, str]) -> AccessLog:
    json_format = Struct()
    json_format.update(fields)
    sink = StdoutAccessLog(log_format=SubstitutionFormatString(json_format=json_format))
    return AccessLog(name="envoy.access_loggers.stdout", typed_config=pack(sink))
