"""Connections: silent ones by TLS and by HTTP, large requests for health, pings at the end."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from grpc_health.v1 import health_pb2

from bench.hostile.row import Row
from support.attacks import ping_flood, reopening, silent, still_open
from support.certificates import Certificates
from support.xds.process import ServerProcess
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE
from towpath_client import TlsFiles

MIB = 1 << 20
STREAM = f"/{SERVICE}/StreamAggregatedResources"
SUBSCRIPTION = DiscoveryRequest(node=Node(id="curl.curl"), type_url=CLUSTER).SerializeToString()
WITHIN_S = 60.0


@contextlib.contextmanager
def _server(
    *more: str, descriptors: int = 0, tls: bool = True
) -> Iterator[tuple[ServerProcess, TlsFiles]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates = Certificates(folder)
        files = certificates.server()
        options = (
            *("--tls-cert", str(files.certificate), "--tls-key", str(files.key)),
            *("--tls-client-ca", str(files.ca)),
        )
        started = ServerProcess(folder, *(options if tls else ()), *more, services=5)
        started.listen_on_tcp()
        started.most_descriptors = descriptors
        started.start()
        try:
            yield started, certificates.sidecar("curl", "curl")
        finally:
            started.stop()


def _seconds(done: Callable[[], bool]) -> float:
    """Until it is done."""
    begun = time.monotonic()
    while not done() and time.monotonic() - begun < WITHIN_S:
        time.sleep(0.05)
    return time.monotonic() - begun


def _is_served(server: ServerProcess, tls: TlsFiles) -> bool:
    """Whether a new sidecar is sent its configuration."""
    name = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))
    with grpc.secure_channel(server.address, tls.credentials(), name) as channel:
        method: Any = channel.stream_stream(STREAM)
        with contextlib.suppress(grpc.RpcError):
            return next(method(iter((SUBSCRIPTION,)), timeout=2), None) is not None
    return False


def _without_a_certificate() -> Iterator[Row]:
    count = 2000
    with _server() as (server, sidecar):
        memory, descriptors = server.resident(), server.descriptors()
        with silent(server.tcp_port, count) as sockets:
            most = server.descriptors() - descriptors
            each = (server.resident() - memory) / max(most, 1) / 1024
            served = _seconds(lambda: _is_served(server, sidecar))
            gone = _seconds(lambda: not still_open(sockets))
    yield Row(
        f"{count:,} connections without a certificate",
        f"{most:,} descriptors, {each:.0f} KiB each, all gone after {gone:.0f} s",
        f"--first-request-wait; a new sidecar is served within {served:.1f} s",
    )


def _few_descriptors() -> Iterator[Row]:
    with _server(descriptors=300) as (server, sidecar), silent(server.tcp_port, 400):
        served = _seconds(lambda: _is_served(server, sidecar))
        health = _seconds(server.alive)
        descriptors = server.descriptors()
    yield Row(
        "400 connections on a server of 300 descriptors",
        f"{descriptors} descriptors",
        f"a new sidecar is served after {served:.1f} s, /health after {health:.1f} s",
    )


def _reopening() -> Iterator[Row]:
    with (
        _server(descriptors=500) as (server, sidecar),
        reopening(server.tcp_port, addresses=50, each=10) as counts,
    ):
        time.sleep(2)
        before, begun = counts["opened"], time.monotonic()
        served = [_seconds(lambda: _is_served(server, sidecar)) for _ in range(5)]
        rate = (counts["opened"] - before) / (time.monotonic() - begun)
        health = _seconds(server.alive)
        descriptors = server.descriptors()
    yield Row(
        "50 addresses that reopen 10 connections each, on a server of 500 descriptors",
        f"{descriptors} descriptors, {rate:.0f} connections/s",
        f"a new sidecar is served after {max(served):.1f} s at most of 5, /health after "
        f"{health:.1f} s",
    )


def _http() -> Iterator[Row]:
    with _server(tls=False) as (server, _):
        before = server.descriptors()
        with silent(server.http_port, 500, opening=b"GET / HTTP/1.1\r\nHost: a\r\n") as sockets:
            health = _seconds(server.alive)
            descriptors = server.descriptors() - before
            gone = _seconds(lambda: not still_open(sockets))
    yield Row(
        "500 HTTP requests that do not end",
        f"{descriptors} descriptors, all gone after {gone:.0f} s",
        f"64 connections; /health after {health:.1f} s",
    )


async def _watch(address: str, size: int) -> None:
    data = health_pb2.HealthCheckRequest(service="x" * size).SerializeToString()
    options = (("grpc.use_local_subchannel_pool", 1),)

    async def one() -> None:
        async with grpc.aio.insecure_channel(address, options) as channel:
            method: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
            call = method(data, timeout=20)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call.read()

    await asyncio.gather(*(one() for _ in range(8)))


def _health() -> Iterator[Row]:
    larger = ("--max-message-mib", "32")
    for size, options, rounds in ((31, (), (1,)), (7, (), (1, 10)), (31, larger, (1, 5, 10))):
        with _server(*options, tls=False) as (server, _):
            sizes = {0: server.resident()}
            for round_ in range(1, rounds[-1] + 1):
                asyncio.run(_watch(server.address, size * MIB))
                sizes[round_] = server.resident()
        grown = ", ".join(f"{sizes[r] // MIB} after {r}" for r in (0, *rounds))
        yield Row(
            " ".join((f"8 Health.Watch of {size} MiB", *options)),
            f"the process has {grown} rounds, in MiB",
            "4 KiB for a request to health and reflection",
        )


def _end() -> Iterator[Row]:
    with _server(tls=False) as (server, _), ping_flood(server.tcp_port):
        begun = time.monotonic()
        server.stop()
        seconds = time.monotonic() - begun
    yield Row(
        "4 connections that ping without reading, at SIGTERM",
        f"ended after {seconds:.1f} s",
        "--shutdown-grace and 3 s; 15 s more for all that may hang",
    )


def measure() -> list[Row]:
    attacks = (_without_a_certificate, _few_descriptors, _reopening, _http, _health, _end)
    return [row for attack in attacks for row in attack()]
