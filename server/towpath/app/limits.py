"""Limits of connections that no setting changes, for both transports."""

from __future__ import annotations

STREAMS_PER_CONNECTION = 2_000

IDLE_S = 60.0
"""How long a connection without a stream stays open."""

AGE_GRACE_S = 10.0
"""How long the streams of a connection that is too old may finish."""
