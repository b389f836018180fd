"""The services of a single type, beside the aggregated one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import pytest

from support.control_plane import ControlPlane, control_plane
from support.xds.stream import RawStream
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

pytestmark = pytest.mark.usefixtures("transport")

SERVICES = {
    CLUSTER: ("envoy.service.cluster.v3.ClusterDiscoveryService", "Clusters"),
    ENDPOINTS: ("envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints"),
    LISTENER: ("envoy.service.listener.v3.ListenerDiscoveryService", "Listeners"),
    ROUTES: ("envoy.service.route.v3.RouteDiscoveryService", "Routes"),
    SECRET: ("envoy.service.secret.v3.SecretDiscoveryService", "Secrets"),
}


@pytest.mark.parametrize("said", ["", CLUSTER])
async def test_a_stream_of_one_type_needs_not_name_it(tmp_path: Path, said: str) -> None:
    async with control_plane(tmp_path) as plane, _stream(plane, CLUSTER) as stream:
        await stream.say(said)
        response = await stream.hear()

        assert (CLUSTER, 3) == (response.type_url, len(response.resources))


@pytest.mark.parametrize("type_url", SERVICES)
async def test_a_stream_of_one_type_carries_no_other(tmp_path: Path, type_url: str) -> None:
    other = LISTENER if type_url != LISTENER else CLUSTER
    async with control_plane(tmp_path) as plane, _stream(plane, type_url) as stream:
        await stream.say(other)
        code, details = await stream.end()

        assert grpc.StatusCode.INVALID_ARGUMENT == code
        assert details == f"this stream is of {type_url}, and cannot carry {other}"


@pytest.mark.parametrize("type_url", SERVICES)
async def test_there_is_nothing_to_poll(tmp_path: Path, type_url: str) -> None:
    service, what = SERVICES[type_url]
    async with (
        control_plane(tmp_path) as plane,
        grpc.aio.insecure_channel(plane.address) as channel,
    ):
        fetch: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        fetch = channel.unary_unary(f"/{service}/Fetch{what}")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await fetch(b"")

        assert grpc.StatusCode.UNIMPLEMENTED == ended.value.code()


def _stream(plane: ControlPlane, type_url: str) -> AbstractAsyncContextManager[RawStream]:
    service, what = SERVICES[type_url]
    return plane.stream(f"Stream{what}", service=service)
