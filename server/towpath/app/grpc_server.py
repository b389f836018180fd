"""The gRPC server of the ADS port: sidecars' streams, the Inspector, reflection and health."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from towpath.admin.inspector import Inspector
from towpath.xds.service import SERVICES, AdsService
from towpath_api.v1 import inspector_pb2, inspector_pb2_grpc

INSPECTOR = inspector_pb2.DESCRIPTOR.services_by_name["Inspector"].full_name

OPTIONS = (
    # A sidecar that reconnects states every version it holds: gRPC's own 4 MiB is too little.
    ("grpc.max_receive_message_length", 32 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


@contextlib.asynccontextmanager
async def start_grpc(
    address: str, ads: AdsService, inspector: Inspector, *, grace: float
) -> AsyncIterator[None]:
    """Serve on *address*; streams that are open at the end get *grace* seconds.

    Raises OSError if the address cannot be bound.
    """
    server = grpc.aio.server(options=OPTIONS)
    health = HealthServicer()
    server.add_generic_rpc_handlers(ads.handlers())
    inspector_pb2_grpc.add_InspectorServicer_to_server(inspector, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (
            *SERVICES,
            INSPECTOR,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        ),
        server,
    )
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"--ads-address {address} cannot be bound: {error}") from error
    await server.start()
    for service in ("", *SERVICES, INSPECTOR):
        await health.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(grace)
