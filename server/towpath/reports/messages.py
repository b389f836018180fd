"""Messages of the access log service: what they say of whom they are, and of connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envoy.data.accesslog.v3.accesslog_pb2 import AccessLogCommon
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from google.protobuf.message import DecodeError

from towpath.encode.envoy.access_log import REFUSAL
from towpath.observe.access_log import LogRecord


def decoded(data: bytes) -> StreamAccessLogsMessage:
    """The message. Raises ValueError if it is none."""
    try:
        return StreamAccessLogsMessage.FromString(data)
    except DecodeError as error:
        raise ValueError(f"the message cannot be read: {error}") from error


def node_id(message: StreamAccessLogsMessage) -> str:
    """The id of the node that it says it comes from; "" if it says none."""
    return str(message.identifier.node.id)


def records(message: StreamAccessLogsMessage) -> Iterator[tuple[float, LogRecord]]:
    """Each entry with its time, in seconds of the epoch; those of HTTP alone are not ours."""
    for entry in message.tcp_logs.log_entry:
        common = entry.common_properties
        tags = common.custom_tags
        started = common.start_time
        yield (
            started.seconds + started.nanos / 1e9,
            LogRecord(
                log=tags.get("log", ""),
                start_time="",
                response_flags="NR" if common.response_flags.no_route_found else None,
                filter_chain_name=tags.get("chain"),
                downstream_remote_address=_caller(common, tags),
                downstream_local_address=_address(common.downstream_local_address),
                requested_server_name=common.tls_properties.tls_sni_hostname,
                upstream_cluster=common.upstream_cluster,
                authority=tags.get("authority"),
                method=tags.get("method"),
                route_name=common.route_name,
                enforced=tags.get("enforced"),
                peer=tags.get("peer"),
            ),
        )


def _caller(common: AccessLogCommon, tags: Mapping[str, str]) -> str | None:
    """Who called, where it is not the sidecar's own application."""
    if tags.get("log") != REFUSAL:
        return None
    return _address(common.downstream_direct_remote_address)


def _address(address: Any) -> str:
    socket = address.socket_address
    return f"{socket.address}:{socket.port_value}"
