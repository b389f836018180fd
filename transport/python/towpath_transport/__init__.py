"""gRPC for asyncio with HTTP/2 and TLS in Rust; takes the handlers and interceptors of grpc.aio."""

from towpath_transport._core import Identity
from towpath_transport.limits import TransportLimits
from towpath_transport.server import Server

__all__ = ["Identity", "Server", "TransportLimits"]
