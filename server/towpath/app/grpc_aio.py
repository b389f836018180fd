"""grpc.aio as the transport: gRPC's own core does HTTP/2 and TLS."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from towpath.access import Gate
from towpath.access.doorkeeper import Room
from towpath.app.limits import AGE_GRACE_S, IDLE_S, STREAMS_PER_CONNECTION
from towpath.app.ports import UNIX, Ports, Security, check_free, check_unused, unbound
from towpath.settings import ConnectionLimits

if TYPE_CHECKING:
    from towpath.access.tls import ServerTls

NEVER_MS = 2**31 - 1
"""What gRPC takes for never."""

UNREQUESTED_S = 600
"""How long a call may wait until it is looked at, besides the time that a connection may take for
it: longer than a server should need that was slow for a while.
"""

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_idle_ms", round(IDLE_S * 1000)),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
    # Else gRPC pings whoever sends something, to find out how much may be under way, and ends the
    # connection of one that is slow to answer, as all are when a whole mesh comes at once.
    ("grpc.http2.bdp_probe", 0),
)


def connection_options(limits: ConnectionLimits, room: Room) -> list[tuple[str, int]]:
    """What gRPC must know of the limits of connections.

    gRPC itself scatters their age by a tenth, so that sidecars do not all come back at once.
    """
    aging, pinging = [], [("grpc.keepalive_time_ms", NEVER_MS)]
    if limits.max_connection_age > 0:
        aging.append(("grpc.max_connection_age_ms", round(limits.max_connection_age * 1000)))
        aging.append(("grpc.max_connection_age_grace_ms", round(AGE_GRACE_S * 1000)))
    if limits.keepalive_time > 0 and limits.keepalive_timeout > 0:
        timeout_ms = _milliseconds(limits.keepalive_timeout)
        pinging = [
            ("grpc.keepalive_time_ms", _milliseconds(limits.keepalive_time)),
            ("grpc.keepalive_timeout_ms", timeout_ms),
            # Else it is this, 60 s, that a lost ping waits for.
            ("grpc.http2.ping_timeout_ms", timeout_ms),
        ]
    handshake_ms = _milliseconds(room.handshake_s)
    return [
        # A sidecar that reconnects states every version it holds: gRPC's own 4 MiB is too little.
        ("grpc.max_receive_message_length", limits.max_message_mib << 20),
        ("grpc.max_allowed_incoming_connections", room.connections),
        # Calls that nobody has looked at yet: from 1,000 on, gRPC would refuse some at random, and
        # from 3,000 on all. Each connection may have one that waits; what it costs is bounded by
        # the connections.
        ("grpc.server.max_pending_requests", room.connections),
        ("grpc.server.max_pending_requests_hard_limit", 2 * room.connections),
        # From 30 s on gRPC would cancel them; if a whole mesh comes at once, it may take longer.
        ("grpc.server_max_unrequested_time_in_server", round(room.first_call_s) + UNREQUESTED_S),
        # TLS; then the client's settings, and its answer to ours.
        ("grpc.server_handshake_timeout_ms", handshake_ms),
        ("grpc.http2.settings_timeout", handshake_ms),
        *aging,
        *pinging,
    ]


class GrpcAio:
    """A server of grpc.aio, with our limits."""

    name = "grpc.aio"

    def __init__(self, gate: Gate, connections: ConnectionLimits, room: Room) -> None:
        options = [*OPTIONS, *connection_options(connections, room)]
        self._server = grpc.aio.server(interceptors=(gate,), options=options)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As of grpc.aio."""
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """As of grpc.aio."""
        self._server.add_registered_method_handlers(service_name, dict(method_handlers))

    def bind(self, ports: Ports) -> tuple[int, ...]:
        """The TCP ports of these addresses. Raises OSError if one cannot be bound."""
        numbers = [
            self.listen(flag, address, _credentials(security, ports.tls))
            for flag, address, security in ports.addresses
        ]
        if ports.local_socket is not None:
            self.listen_locally(ports.local_socket)
        return tuple(filter(None, numbers))

    async def start(self) -> None:
        """Serve."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Take nothing more; calls that are open get *grace* seconds."""
        await self._server.stop(grace)

    def listen(
        self, flag: str, address: str, credentials: grpc.ServerCredentials | None = None
    ) -> int:
        """The port of the address that the flag gives, 0 if it has none."""
        check_free(flag, address)  # gRPC would log it in words of its own
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise unbound(flag, address, error) from error
        return 0 if address.startswith(UNIX) else port

    def listen_locally(self, path: Path) -> None:
        """Listen on a socket that only its owner may open; replace one that nobody listens on."""
        check_unused(path)
        before = os.umask(0o177)
        try:
            self._server.add_secure_port(
                f"{UNIX}{path}", grpc.local_server_credentials(grpc.LocalConnectionType.UDS)
            )
        except RuntimeError as error:
            raise unbound("--local-socket", str(path), error) from error
        finally:
            os.umask(before)


def _credentials(security: Security, tls: ServerTls | None) -> grpc.ServerCredentials | None:
    if security is Security.LOCAL:
        # What is not of this machine is refused by these credentials, whatever is listened on.
        return grpc.local_server_credentials(grpc.LocalConnectionType.LOCAL_TCP)
    if tls is None:
        return None
    return tls.token_credentials() if security is Security.TOKEN else tls.credentials()


def _milliseconds(seconds: float) -> int:
    """At least one: zero would not be never."""
    return max(round(seconds * 1000), 1)
