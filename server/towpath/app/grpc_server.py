"""The gRPC server of the ADS ports: for sidecars their streams, for people all else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from towpath.access import Audience, Gate
from towpath.access.doorkeeper import Room
from towpath.admin.csds import ClientStatus
from towpath.admin.debug import Debug
from towpath.admin.inspector import Inspector
from towpath.reports import REPORTS_SERVICE, ReportService
from towpath.settings import ConnectionLimits, split_address
from towpath.xds.service import SERVICES, AdsService
from towpath_api.v1 import debug_pb2, debug_pb2_grpc, inspector_pb2, inspector_pb2_grpc

log = logging.getLogger(__name__)

INSPECTOR = inspector_pb2.DESCRIPTOR.services_by_name["Inspector"].full_name
DEBUG = debug_pb2.DESCRIPTOR.services_by_name["Debug"].full_name
CLIENT_STATUS = csds_pb2.DESCRIPTOR.services_by_name["ClientStatusDiscoveryService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

RULES = {
    **dict.fromkeys(SERVICES, Audience.SIDECARS),
    REPORTS_SERVICE: Audience.SIDECARS,
    INSPECTOR: Audience.PEOPLE,
    DEBUG: Audience.PEOPLE,
    CLIENT_STATUS: Audience.PEOPLE,
    reflection.SERVICE_NAME: Audience.PEOPLE,
    HEALTH: Audience.ANYONE,
}
"""For whom each service is; one that is not here answers nobody."""

LARGEST = {
    HEALTH: 4 << 10,
    reflection.SERVICE_NAME: 4 << 10,
    REPORTS_SERVICE: 256 << 10,
    INSPECTOR: 64 << 10,
    DEBUG: 4 << 10,
    CLIENT_STATUS: 64 << 10,
}
"""How many bytes a request may have; a subscription's have a setting."""

STOP_S = 1.0
"""How long each step of stopping may take beyond the time that streams are given."""

AGE_GRACE_MS = 10_000
"""How long the streams of a connection that is too old may finish."""

NEVER_MS = 2**31 - 1
"""What gRPC takes for never."""

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.max_concurrent_streams", 2_000),
)


def connection_options(limits: ConnectionLimits, room: Room) -> list[tuple[str, int]]:
    """What gRPC must know of the limits of connections.

    gRPC itself scatters their age by a tenth, so that sidecars do not all come back at once.
    """
    aging, pinging = [], [("grpc.keepalive_time_ms", NEVER_MS)]
    if limits.max_connection_age > 0:
        aging.append(("grpc.max_connection_age_ms", round(limits.max_connection_age * 1000)))
        aging.append(("grpc.max_connection_age_grace_ms", AGE_GRACE_MS))
    if limits.keepalive_time > 0 and limits.keepalive_timeout > 0:
        timeout_ms = _milliseconds(limits.keepalive_timeout)
        pinging = [
            ("grpc.keepalive_time_ms", _milliseconds(limits.keepalive_time)),
            ("grpc.keepalive_timeout_ms", timeout_ms),
            # Else it is this, 60 s, that a lost ping waits for.
            ("grpc.http2.ping_timeout_ms", timeout_ms),
        ]
    handshake_ms = _milliseconds(room.first_call_s)
    return [
        # A sidecar that reconnects states every version it holds: gRPC's own 4 MiB is too little.
        ("grpc.max_receive_message_length", limits.max_message_mib << 20),
        ("grpc.max_allowed_incoming_connections", room.connections),
        # Calls that nobody has looked at yet: from 1,000 on, gRPC would refuse some at random, and
        # from 3,000 on all. Each connection may have one that waits; what it costs is bounded by
        # the connections.
        ("grpc.server.max_pending_requests", room.connections),
        ("grpc.server.max_pending_requests_hard_limit", 2 * room.connections),
        # TLS; then the client's settings, and its answer to ours.
        ("grpc.server_handshake_timeout_ms", handshake_ms),
        ("grpc.http2.settings_timeout", handshake_ms),
        *aging,
        *pinging,
    ]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen: the ADS address (in plaintext without credentials), that of those who log in
    with a token (none without credentials), the local socket, and the local address.
    """

    address: str
    credentials: grpc.ServerCredentials | None = None
    local_socket: Path | None = None
    token_address: str = ""
    token_credentials: grpc.ServerCredentials | None = None
    local_address: str = ""

    def bind(self, server: grpc.aio.Server) -> tuple[int, ...]:
        """The TCP ports of these addresses. Raises OSError if one cannot be bound."""
        numbers = [_bind(server, "--ads-address", self.address, self.credentials)]
        if self.token_credentials is not None:
            flag = "--ads-token-address"
            numbers.append(_bind(server, flag, self.token_address, self.token_credentials))
        if self.local_socket is not None:
            _bind_local(server, self.local_socket)
        if self.local_address:
            # What is not of this machine is refused by these credentials, whatever is listened on.
            by_loopback = grpc.local_server_credentials(grpc.LocalConnectionType.LOCAL_TCP)
            numbers.append(_bind(server, "--local-address", self.local_address, by_loopback))
        return tuple(filter(None, numbers))


@contextlib.asynccontextmanager
async def start_grpc(
    ports: Ports,
    ads: AdsService,
    reports: ReportService,
    inspector: Inspector,
    status: ClientStatus,
    *,
    debug: Debug,
    gate: Gate,
    grace: float,
    connections: ConnectionLimits,
    room: Room,
    end_all: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[int, ...]]:
    """Serve on *ports*; gives the TCP ports of the ADS addresses.

    Streams that are open at the end get *grace* seconds; then *end_all* has to end every connection
    that is left. Raises OSError if a port cannot be bound.
    """
    server = grpc.aio.server(
        interceptors=(gate,), options=[*OPTIONS, *connection_options(connections, room)]
    )
    health = HealthServicer()
    server.add_generic_rpc_handlers((*ads.handlers(), *reports.handlers()))
    inspector_pb2_grpc.add_InspectorServicer_to_server(inspector, server)
    debug_pb2_grpc.add_DebugServicer_to_server(debug, server)
    csds_pb2_grpc.add_ClientStatusDiscoveryServiceServicer_to_server(status, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (
            *SERVICES,
            REPORTS_SERVICE,
            INSPECTOR,
            DEBUG,
            CLIENT_STATUS,
            HEALTH,
            reflection.SERVICE_NAME,
        ),
        server,
    )
    numbers = ports.bind(server)
    await server.start()
    for service in ("", *SERVICES, REPORTS_SERVICE, INSPECTOR, DEBUG, CLIENT_STATUS):
        await health.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield numbers
    finally:
        await _stop(server, health, grace=grace, end_all=end_all)


async def _stop(
    server: grpc.aio.Server, health: HealthServicer, *, grace: float, end_all: Callable[[], None]
) -> None:
    """In the end it has stopped, or is left as it is: no client keeps us from going."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await health.enter_graceful_shutdown()
    stopping = asyncio.create_task(server.stop(grace))
    for seconds in (grace + STOP_S, STOP_S):
        if (await asyncio.wait({stopping}, timeout=seconds))[0]:
            return
        # Whoever does not read keeps gRPC from saying the last word, for as long as it likes.
        log.warning("connections are still open after %g s: they are cut", seconds)
        end_all()


def _bind(
    server: grpc.aio.Server, flag: str, address: str, credentials: grpc.ServerCredentials | None
) -> int:
    """The port of the address that the flag gives, 0 if it has none."""
    _check_free(flag, address)
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"{flag} {address} cannot be bound: {error}") from error
    return 0 if address.startswith("unix:") else port


def _check_free(flag: str, address: str) -> None:
    """Raises OSError if HOST:PORT cannot be bound; gRPC would log it in words of its own."""
    if address.startswith("unix:"):
        return
    host, port = split_address(address)
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{flag} {address} cannot be bound: {reason}") from error


def _milliseconds(seconds: float) -> int:
    """At least one: zero would not be never."""
    return max(round(seconds * 1000), 1)


def _bind_local(server: grpc.aio.Server, path: Path) -> None:
    """Listen on a socket that only its owner may open, and replace one that nobody listens on."""
    # gRPC would take the path over from a server that is alive.
    with socket.socket(socket.AF_UNIX) as other:
        if other.connect_ex(str(path)) == 0:
            raise OSError(f"--local-socket {path} cannot be bound: another process listens there")
    before = os.umask(0o177)
    try:
        server.add_secure_port(
            f"unix:{path}", grpc.local_server_credentials(grpc.LocalConnectionType.UDS)
        )
    except RuntimeError as error:
        raise OSError(f"--local-socket {path} cannot be bound: {error}") from error
    finally:
        os.umask(before)
