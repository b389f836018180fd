"""Floods of HTTP/2: sidecars are served meanwhile, and the server's memory does not follow."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from support import attacks
from support.xds.process import ServerProcess
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE

WITHIN_S = 60.0
BLOCKED_S = 0.5
"""Who is not read any more has done what he can."""

MOST_MEMORY = 128 << 20
"""gRPC's core keeps calls that wait to be looked at, up to twice as many as connections."""

STREAM = f"/{SERVICE}/StreamAggregatedResources"
HEALTH = "/grpc.health.v1.Health/Check"
SUBSCRIPTION = DiscoveryRequest(node=Node(id="curl.curl"), type_url=CLUSTER).SerializeToString()

Flood = Callable[[socket.socket, str], None]


@pytest.fixture(scope="module", params=["grpc", pytest.param("fast", marks=pytest.mark.fast)])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """One for all floods, on either transport."""
    folder = tmp_path_factory.mktemp("server")
    started = ServerProcess(folder, "--transport", request.param, services=5)
    started.listen_on_tcp()
    started.start()
    yield started
    started.stop()


def _flooded(server: ServerProcess, flood: Flood, path: str, connections: int) -> None:
    before = server.resident()
    with contextlib.ExitStack() as stack:
        for _ in range(connections):
            one = stack.enter_context(attacks.speaking(server.tcp_port))
            one.settimeout(BLOCKED_S)
            with contextlib.suppress(OSError):
                flood(one, path)

        assert _is_served(server)
        assert server.resident() - before < MOST_MEMORY


def _is_served(server: ServerProcess) -> bool:
    """True as soon as a new sidecar is."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(server.address, options) as channel:
        stream: Any = channel.stream_stream(STREAM)(
            iter((SUBSCRIPTION,)), timeout=WITHIN_S, wait_for_ready=True
        )
        return len(next(stream)) > 0


@pytest.mark.parametrize(
    "flood",
    [
        attacks.rapid_reset,
        attacks.endless_headers,
        attacks.settings,
        attacks.pings,
        attacks.empty_data,
    ],
)
def test_a_flood_costs_no_memory_and_keeps_no_sidecar_out(
    server: ServerProcess, flood: Flood
) -> None:
    _flooded(server, flood, STREAM, 2)


def test_calls_that_are_said_in_part_keep_no_sidecar_out(server: ServerProcess) -> None:
    _flooded(server, attacks.half_a_call, STREAM, 40)


def test_clients_that_read_nothing_keep_no_sidecar_out(server: ServerProcess) -> None:
    _flooded(server, attacks.slow_reader, HEALTH, 2)
