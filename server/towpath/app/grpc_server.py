"""The gRPC server of the ADS port: sidecars' streams; the Inspector, CSDS, reflection, health."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from towpath.access import Audience, Gate
from towpath.admin.csds import ClientStatus
from towpath.admin.inspector import Inspector
from towpath.xds.service import SERVICES, AdsService
from towpath_api.v1 import inspector_pb2, inspector_pb2_grpc

INSPECTOR = inspector_pb2.DESCRIPTOR.services_by_name["Inspector"].full_name
CLIENT_STATUS = csds_pb2.DESCRIPTOR.services_by_name["ClientStatusDiscoveryService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

RULES = {
    **dict.fromkeys(SERVICES, Audience.SIDECARS),
    INSPECTOR: Audience.PEOPLE,
    CLIENT_STATUS: Audience.PEOPLE,
    reflection.SERVICE_NAME: Audience.PEOPLE,
    HEALTH: Audience.ANYONE,
}
"""For whom each service is; one that is not here answers nobody."""

AGE_GRACE_MS = 10_000
"""How long the streams of a connection that is too old may finish."""

NEVER_MS = 2**31 - 1
"""What gRPC takes for never."""

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Connections:
    """How large a message may be, in MiB, and how old a connection becomes, in seconds (0: any);
    after how many seconds of silence it is pinged, and how many the answer may take (0: never).

    gRPC itself scatters the age by a tenth, so that sidecars do not all come back at once.
    """

    # A sidecar that reconnects states every version it holds: gRPC's own 4 MiB is too little.
    max_message_mib: int = 8
    max_age: float = 0.0
    keepalive_time: float = 30.0
    keepalive_timeout: float = 10.0

    def options(self) -> list[tuple[str, int]]:
        """What gRPC is told."""
        aging, pinging = [], [("grpc.keepalive_time_ms", NEVER_MS)]
        if self.max_age > 0:
            aging.append(("grpc.max_connection_age_ms", round(self.max_age * 1000)))
            aging.append(("grpc.max_connection_age_grace_ms", AGE_GRACE_MS))
        if self.keepalive_time > 0 and self.keepalive_timeout > 0:
            timeout_ms = _milliseconds(self.keepalive_timeout)
            pinging = [
                ("grpc.keepalive_time_ms", _milliseconds(self.keepalive_time)),
                ("grpc.keepalive_timeout_ms", timeout_ms),
                # Else it is this, 60 s, that a lost ping waits for.
                ("grpc.http2.ping_timeout_ms", timeout_ms),
            ]
        largest = self.max_message_mib << 20
        return [("grpc.max_receive_message_length", largest), *aging, *pinging]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen: the ADS address (in plaintext without credentials), and the local socket."""

    address: str
    credentials: grpc.ServerCredentials | None = None
    local_socket: Path | None = None

    def bind(self, server: grpc.aio.Server) -> None:
        """Raises OSError if one of them cannot be bound."""
        try:
            if self.credentials is None:
                server.add_insecure_port(self.address)
            else:
                server.add_secure_port(self.address, self.credentials)
        except RuntimeError as error:
            raise OSError(f"--ads-address {self.address} cannot be bound: {error}") from error
        if self.local_socket is not None:
            _bind_local(server, self.local_socket)


@contextlib.asynccontextmanager
async def start_grpc(
    ports: Ports,
    ads: AdsService,
    inspector: Inspector,
    status: ClientStatus,
    *,
    gate: Gate,
    grace: float,
    connections: Connections = Connections(),
) -> AsyncIterator[None]:
    """Serve on *ports*; streams that are open at the end get *grace* seconds.

    Raises OSError if a port cannot be bound.
    """
    server = grpc.aio.server(interceptors=(gate,), options=[*OPTIONS, *connections.options()])
    health = HealthServicer()
    server.add_generic_rpc_handlers(ads.handlers())
    inspector_pb2_grpc.add_InspectorServicer_to_server(inspector, server)
    csds_pb2_grpc.add_ClientStatusDiscoveryServiceServicer_to_server(status, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (
            *SERVICES,
            INSPECTOR,
            CLIENT_STATUS,
            HEALTH,
            reflection.SERVICE_NAME,
        ),
        server,
    )
    ports.bind(server)
    await server.start()
    for service in ("", *SERVICES, INSPECTOR, CLIENT_STATUS):
        await health.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(grace)


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
