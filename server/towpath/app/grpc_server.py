"""The gRPC server of the ADS ports: for sidecars their streams, for people all else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from towpath.access import Audience, Gate
from towpath.access.doorkeeper import Room
from towpath.admin.csds import ClientStatus
from towpath.admin.debug import Debug
from towpath.admin.inspector import Inspector
from towpath.app.ports import Ports
from towpath.app.transport import Transport, new_transport
from towpath.reports import REPORTS_SERVICE, ReportService
from towpath.settings import ConnectionLimits
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
    end_all: Callable[[], Awaitable[None]],
) -> AsyncIterator[tuple[int, ...]]:
    """Serve on *ports*; gives the TCP ports of the ADS addresses.

    Streams that are open at the end get *grace* seconds; then *end_all* has to end every connection
    that is left. Raises OSError if a port cannot be bound.
    """
    server = new_transport(gate, connections, room)
    log.info("gRPC is served by %s", server.name, extra={"transport": server.name})
    health = HealthServicer()
    server.add_generic_rpc_handlers((*ads.handlers(), *reports.handlers()))
    registry: Any = server  # what generated code does with one, any transport has
    inspector_pb2_grpc.add_InspectorServicer_to_server(inspector, registry)
    debug_pb2_grpc.add_DebugServicer_to_server(debug, registry)
    csds_pb2_grpc.add_ClientStatusDiscoveryServiceServicer_to_server(status, registry)
    health_pb2_grpc.add_HealthServicer_to_server(health, registry)
    names = (*SERVICES, REPORTS_SERVICE, INSPECTOR, DEBUG, CLIENT_STATUS, HEALTH)
    reflected = reflection.aio.ReflectionServicer((*names, reflection.SERVICE_NAME))
    add_reflection: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server  # untyped
    add_reflection(reflected, registry)
    numbers = server.bind(ports)
    await server.start()
    for service in ("", *SERVICES, REPORTS_SERVICE, INSPECTOR, DEBUG, CLIENT_STATUS):
        await health.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield numbers
    finally:
        await _stop(server, health, grace=grace, end_all=end_all)


async def _stop(
    server: Transport,
    health: HealthServicer,
    *,
    grace: float,
    end_all: Callable[[], Awaitable[None]],
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
        await end_all()
