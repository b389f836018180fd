"""Many calls at once: none is refused because others have not been looked at yet."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.control_plane import control_plane

CONNECTIONS = 2
CALLS = 1_900
"""Of each connection, which may have 2,000: gRPC itself refuses some from 1,000 that wait on, and
all from 3,000 on.
"""

HELD_S = 3.0
"""For how long nobody is looked at, unless a call ends before."""

OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
REQUEST = health_pb2.HealthCheckRequest()


async def test_calls_wait_for_a_busy_server_and_are_not_refused(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        with ExitStack() as channels:
            ended, calls = threading.Event(), list[Any]()
            for _ in range(CONNECTIONS):
                channel = grpc.insecure_channel(plane.address, options=OPTIONS)
                stub: Any = health_pb2_grpc.HealthStub(channels.enter_context(channel))
                await asyncio.to_thread(stub.Check, REQUEST)
                calls += [stub.Check.future(REQUEST) for _ in range(CALLS)]
            for call in calls:
                call.add_done_callback(lambda _: ended.set())

            ended.wait(HELD_S)  # this thread is the event loop's, so it is held
            errors = [await asyncio.to_thread(call.exception) for call in calls]

    # Others end by our limit of calls of one address.
    codes = [error.code() for error in errors if isinstance(error, grpc.RpcError)]
    assert set(codes) <= {grpc.StatusCode.RESOURCE_EXHAUSTED}
