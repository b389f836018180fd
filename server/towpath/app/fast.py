"""towpath-transport as the transport: HTTP/2 and TLS in Rust, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import grpc

from towpath.access import Gate
from towpath.access.doorkeeper import Room
from towpath.app.grpc_aio import GrpcAio
from towpath.app.limits import AGE_GRACE_S, IDLE_S, STREAMS_PER_CONNECTION
from towpath.app.ports import UNIX, Ports, Security, check_free, unbound
from towpath.settings import ConnectionLimits
from towpath_transport import Identity, Server, TransportLimits

if TYPE_CHECKING:
    from towpath.access.tls import Contents, ServerTls


def limits(connections: ConnectionLimits, room: Room) -> Any:
    """What the transport must know of the limits of connections."""
    return TransportLimits(
        connections=room.connections,
        streams_per_connection=STREAMS_PER_CONNECTION,
        message_bytes=connections.max_message_mib << 20,
        handshake_s=room.handshake_s,
        keepalive_time_s=connections.keepalive_time,
        keepalive_timeout_s=connections.keepalive_timeout,
        age_s=connections.max_connection_age,
        age_grace_s=AGE_GRACE_S,
        idle_s=IDLE_S,
    )


class Fast:
    """A server of towpath-transport, with our limits.

    Unix sockets are served by grpc.aio: on these, gRPC's core names a path as the authority, which
    h2 takes for nonsense.
    """

    def __init__(self, gate: Gate, connections: ConnectionLimits, room: Room) -> None:
        self.name = f"towpath-transport {version('towpath-transport')}"
        self._server = Server(limits=limits(connections, room), interceptors=(gate,))
        self._on_sockets = GrpcAio(gate, connections, room)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As of grpc.aio."""
        for server in (self._server, self._on_sockets):
            server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """As of grpc.aio."""
        for server in (self._server, self._on_sockets):
            server.add_registered_method_handlers(service_name, method_handlers)

    def bind(self, ports: Ports) -> tuple[int, ...]:
        """The TCP ports of these addresses. Raises OSError if one cannot be bound."""
        numbers = [
            self._listen(flag, address, _security(security, ports.tls))
            for flag, address, security in ports.addresses
        ]
        if ports.local_socket is not None:
            self._on_sockets.listen_locally(ports.local_socket)
        return tuple(filter(None, numbers))

    async def start(self) -> None:
        """Serve."""
        await self._server.start()
        await self._on_sockets.start()

    async def stop(self, grace: float) -> None:
        """Take nothing more; calls that are open get *grace* seconds."""
        await asyncio.gather(self._server.stop(grace), self._on_sockets.stop(grace))

    def _listen(self, flag: str, address: str, security: Any) -> int:
        """The port of the address that the flag gives, 0 if it has none."""
        if address.startswith(UNIX):
            return self._on_sockets.listen(flag, address)
        check_free(flag, address)
        try:
            return int(self._server.listen(address, security))
        except OSError as error:
            raise unbound(flag, address, error.strerror or error) from error


def _security(security: Security, tls: ServerTls | None) -> Any:
    """The same in the transport's terms."""
    if security is Security.LOCAL:
        return "local"
    if tls is None:
        return "insecure"
    return _identity(tls, clients=security is Security.CERTIFICATE)


def _identity(tls: ServerTls, *, clients: bool) -> Any:
    """What a port shows, as the files change; with *clients* each must have a certificate."""
    identity: Any = None

    def take(contents: Contents) -> None:
        nonlocal identity
        authorities = contents.client_ca if clients else None
        if identity is None:
            identity = Identity(contents.certificate, contents.key, authorities)
        else:
            identity.replace(contents.certificate, contents.key, authorities)

    tls.hand_out(take)
    return identity
