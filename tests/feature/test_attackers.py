"""Somebody means ill: sidecars, health and the end of the server are as if he were not there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from grpc_health.v1 import health_pb2

from support.attacks import PREFACE, frame, ping_flood, silent, still_open
from support.calls import call
from support.certificates import Certificates
from support.control_plane import control_plane
from support.xds.process import ServerProcess
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE
from towpath_client import TlsFiles

pytestmark = pytest.mark.usefixtures("transport")

WITHIN_S = 30.0
STREAM = f"/{SERVICE}/StreamAggregatedResources"
SUBSCRIPTION = DiscoveryRequest(node=Node(id="curl.curl"), type_url=CLUSTER).SerializeToString()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def server(tmp_path: Path, certificates: Certificates) -> Iterator[ServerProcess]:
    """One that may have 300 descriptors, with TLS."""
    files = certificates.server()
    started = ServerProcess(
        tmp_path,
        *("--tls-cert", str(files.certificate), "--tls-key", str(files.key)),
        *("--tls-client-ca", str(files.ca), "--first-request-wait", "3"),
        services=5,
    )
    started.listen_on_tcp()
    started.most_descriptors = 300
    started.start()
    yield started
    started.stop()


async def _is_served(address: str, tls: TlsFiles) -> bool:
    """True as soon as a new sidecar is; it tries again as one does."""
    name = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with grpc.aio.secure_channel(address, tls.credentials(), name) as channel:
                if isinstance(await call(channel, STREAM, SUBSCRIPTION), bytes):
                    return True
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"], ids=["nothing", "half a hello"])
async def test_connections_without_a_certificate_keep_no_sidecar_out(
    server: ServerProcess, certificates: Certificates, said: bytes
) -> None:
    sidecar = certificates.sidecar("curl", "curl")
    with silent(server.tcp_port, 400, opening=said) as sockets:
        assert await _is_served(server.address, sidecar)
        assert server.alive()
        assert server.descriptors() < 300
        async with asyncio.timeout(WITHIN_S):
            while still_open(sockets):
                await asyncio.sleep(0.1)


async def test_a_request_for_health_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    asked = health_pb2.HealthCheckRequest(service="x" * 5000).SerializeToString()
    async with control_plane(tmp_path) as plane, plane.channel() as channel:
        answers = {m: await call(channel, f"/grpc.health.v1.Health/{m}", asked) for m in METHODS}

    assert dict.fromkeys(METHODS, grpc.StatusCode.RESOURCE_EXHAUSTED) == answers


METHODS = ("Check", "Watch", "List")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_client_that_pings_and_does_not_read_does_not_keep_the_server_from_ending(
    tmp_path: Path, number: signal.Signals
) -> None:
    started = ServerProcess(tmp_path, "--shutdown-grace", "0.5", services=5)
    started.listen_on_tcp()
    started.start()
    with ping_flood(started.tcp_port):
        started.send(number)

        assert 0 == started.wait(WITHIN_S)


async def test_a_connection_that_asks_for_nothing_ends_and_one_that_does_stays(
    tmp_path: Path,
) -> None:
    started = ServerProcess(tmp_path, "--first-request-wait", "1", services=5)
    started.listen_on_tcp()
    started.start()
    hello = PREFACE + frame(4, 0) + frame(4, 1)
    try:
        async with grpc.aio.insecure_channel(started.address) as channel:
            stream: Any = channel.stream_stream(STREAM)()
            await stream.write(SUBSCRIPTION)
            await stream.read()
            with silent(started.tcp_port, 5, opening=hello) as sockets:
                async with asyncio.timeout(WITHIN_S):
                    while still_open(sockets):
                        await asyncio.sleep(0.1)
            started.switch()
            await stream.write(SUBSCRIPTION)

            assert await asyncio.wait_for(stream.read(), WITHIN_S)
        assert 5 == started.metric("towpath_connections_ended_total")
    finally:
        started.stop()
