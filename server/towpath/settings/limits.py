"""How much streams and connections may cost, and how long they may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from towpath.settings.declaration import HOUR_S, Group, setting

COUNT = (1, 10_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamLimits(Group):
    """What one stream may ask for, how many there may be, and what they may wait for."""

    title: ClassVar[str] = "Streams"

    unknown_pod_wait: float = setting(
        30.0,
        "How long a stream waits for its pod to appear before it ends with NOT_FOUND.",
        unit="seconds",
        bounds=HOUR_S,
    )
    answer_wait: float = setting(
        2.0,
        "How long a change waits for a sidecar's ACK: routes until their new clusters are there, "
        "the removal of clusters until no route uses them. A change that takes access away never "
        "waits.",
        unit="seconds",
        bounds=HOUR_S,
    )
    first_request_wait: float = setting(
        10.0,
        "How long a connection may take for its handshake and for its first call, and a stream for "
        "its first request. A connection has up to a minute more while the server itself is slow "
        "to take calls.",
        unit="seconds",
        bounds=HOUR_S,
    )
    read_wait: float = setting(
        30.0,
        "Close a stream whose client has not read a response for this long.",
        unit="seconds",
        bounds=HOUR_S,
    )
    opening_budget: float = setting(
        60.0,
        "How much computing time the streams that one service account opens may use at once; 0.1 s "
        "is refilled per second.",
        unit="seconds",
        bounds=HOUR_S,
    )
    max_streams: int = setting(20_000, "How many streams may be open in total.", bounds=COUNT)
    max_streams_per_peer: int = setting(
        2_000, "How many streams may be open from one address.", bounds=COUNT
    )
    max_names: int = setting(
        20_000,
        "How many names of one type a stream may subscribe to; a stream that exceeds this is "
        "closed.",
        bounds=(1, 1_000_000),
    )
    max_name_length: int = setting(
        512, "How long a resource name may be.", unit="characters", bounds=COUNT
    )
    report_share: float = setting(
        0.1,
        "Which part of one CPU reading the reports of sidecars may take, of all of them together; "
        "one service account has a quarter of it. What comes beyond that is shed, and counted.",
        bounds=(0.001, 1.0),
    )
    max_request_rate: float = setting(
        200.0,
        "How many requests a stream may send; a burst may be ten times as many.",
        unit="per second",
        bounds=(1, 100_000),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits(Group):
    """What serves connections, how many there may be, and how large a message may be."""

    title: ClassVar[str] = "Connections"

    transport: Literal["auto", "grpc", "fast"] = setting(
        "auto",
        "What serves gRPC: `grpc` is gRPC's own server, `fast` the extra of this name; `auto` is "
        "`fast` where it is installed, else `grpc`.",
    )
    max_connections: int = setting(
        10_000,
        "How many connections to the ADS port may be open, at most a quarter of them without a "
        "call; fewer if the process may have fewer file descriptors.",
        bounds=COUNT,
    )
    max_connections_per_peer: int = setting(
        1_000, "How many connections may be open from one address.", bounds=COUNT
    )
    max_message_mib: int = setting(
        8,
        "How large a request may be: a reconnecting client lists every resource it holds.",
        unit="MiB",
        bounds=(1, 1024),
    )
    max_connection_age: float = setting(
        1800.0,
        "Close a connection after this long, a tenth more or less at random, so that sidecars "
        "spread over replicas. 0 is never.",
        unit="seconds",
        bounds=HOUR_S,
    )
    keepalive_time: float = setting(
        30.0,
        "Ping a connection that has been silent for this long. 0 is never.",
        unit="seconds",
        bounds=HOUR_S,
    )
    keepalive_timeout: float = setting(
        10.0,
        "Close a connection that has not answered a ping for this long. 0 disables pings.",
        unit="seconds",
        bounds=HOUR_S,
    )
