"""Transport: what carries gRPC. Which one it is, nothing knows but this package.

Each takes the handlers and interceptors of grpc.aio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import grpc

from towpath.access import Gate
from towpath.access.doorkeeper import Room
from towpath.app.ports import Ports
from towpath.settings import ConnectionLimits, SettingsError

FAST = "towpath_transport"
"""The package of the one in Rust."""


class Transport(Protocol):
    """One server, before and after it serves."""

    name: str
    """What the log calls it."""

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As of grpc.aio."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """As of grpc.aio."""

    def bind(self, ports: Ports) -> tuple[int, ...]:
        """The TCP ports of these addresses. Raises OSError if one cannot be bound."""

    async def start(self) -> None:
        """Serve."""

    async def stop(self, grace: float) -> None:
        """Take nothing more; calls that are open get *grace* seconds."""


def new_transport(gate: Gate, connections: ConnectionLimits, room: Room) -> Transport:
    """The one that the settings name; `auto` is the one in Rust where it is installed.

    Raises SettingsError if it is asked for and not there.
    """
    if _fast(connections.transport):
        from towpath.app.fast import Fast

        return Fast(gate, connections, room)
    from towpath.app.grpc_aio import GrpcAio

    return GrpcAio(gate, connections, room)


def _fast(transport: Literal["auto", "grpc", "fast"]) -> bool:
    installed = find_spec(FAST) is not None
    if transport == "fast" and not installed:
        text = "--transport fast needs the extra fast: pip install 'towpath[fast]'"
        raise SettingsError(f"{text} (there is no package {FAST})")
    return installed and transport != "grpc"
