"""TransportLimits: what connections and streams may cost a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TransportLimits:
    """Of one server. Times are in seconds, and 0 is never.

    `handshake_s` is for TLS, and once more for the client's first words of HTTP/2. A connection is
    pinged when it has been silent for `keepalive_time_s`, and has `keepalive_timeout_s` to answer.
    With `age_s`, a tenth more or less, it is told to end, and its streams have `age_grace_s`; it
    ends after `idle_s` without a stream too.
    """

    connections: int = 10_000
    streams_per_connection: int = 100
    header_list_bytes: int = 16 << 10
    message_bytes: int = 4 << 20
    handshake_s: float = 10.0
    keepalive_time_s: float = 0.0
    keepalive_timeout_s: float = 0.0
    age_s: float = 0.0
    age_grace_s: float = 0.0
    idle_s: float = 0.0
