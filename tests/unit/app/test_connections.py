"""What gRPC is told of connections: seconds become milliseconds, and 0 becomes never."""

from __future__ import annotations

import pytest

from towpath.access.doorkeeper import LONGEST_BEHIND_S, Room
from towpath.app.grpc_aio import NEVER_MS, OPTIONS, connection_options
from towpath.settings import ConnectionLimits


def _options(*, first_call_s: float = 10, **limits: float) -> dict[str, int]:
    room = Room(connections=1, per_peer=1, first_call_s=first_call_s)
    return dict(connection_options(ConnectionLimits(**limits), room))  # type: ignore[arg-type]


def test_a_silent_connection_is_pinged_and_the_ping_has_a_time_to_be_answered_in() -> None:
    options = _options(keepalive_time=1.5, keepalive_timeout=0.25)

    assert options["grpc.keepalive_time_ms"] == 1500
    assert options["grpc.keepalive_timeout_ms"] == 250
    assert options["grpc.http2.ping_timeout_ms"] == 250


@pytest.mark.parametrize("times", [(0.0, 10.0), (30.0, 0.0)])
def test_with_either_time_zero_nothing_is_pinged(times: tuple[float, float]) -> None:
    options = _options(keepalive_time=times[0], keepalive_timeout=times[1])

    assert options["grpc.keepalive_time_ms"] == NEVER_MS
    assert "grpc.keepalive_timeout_ms" not in options


def test_a_time_below_a_millisecond_is_not_never() -> None:
    options = _options(keepalive_time=0.0001, keepalive_timeout=0.0001)

    assert options["grpc.keepalive_time_ms"] == 1


@pytest.mark.parametrize("first_call_s", [0.5, 10, 3600])
def test_a_call_may_wait_for_longer_than_a_connection_is_kept_without_one(
    first_call_s: float,
) -> None:
    options = _options(first_call_s=first_call_s)

    waits_s = options["grpc.server_max_unrequested_time_in_server"]
    assert waits_s > first_call_s + LONGEST_BEHIND_S


def test_only_connections_that_say_nothing_are_pinged() -> None:
    assert dict(OPTIONS)["grpc.http2.bdp_probe"] == 0
