"""What reports of 1,000 sidecars cost the server, and what pushes lose meanwhile.

Run it by `make bench-observe`; it prints figures and judges nothing. Each sidecar has a stream of
reports beside its subscription, as an Envoy has, and sends what it has gathered as often.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
from envoy.config.core.v3.base_pb2 import Node
from envoy.data.accesslog.v3.accesslog_pb2 import TCPAccessLogEntry
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from support.xds.process import ServerProcess
from towpath.encode.envoy.access_log import FLUSH_SECONDS
from towpath.model.types import LISTENER
from towpath.reports import REPORTS_SERVICE
from towpath.xds.service import SERVICE

ACCOUNTS = 50
HOSTS = 200
"""Names that the reports of each account are of."""
CHANNELS = 20
WARM_S, MEASURED_S, PUSHES = 4.0, 20.0, 5
RATES = (0, 1, 10, 50)
"""Entries of each sidecar in each second."""
FLOOD = 10_000

POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: p{0}, namespace: curl}}
spec:
  serviceAccountName: a{1}
  containers: [{{name: app, image: app}}]
---
"""


@dataclass
class Sidecar:
    """One of them: when it was last sent something, and how many entries it reports a second."""

    node: str
    number: int
    pushed_at: float = 0.0
    rate: int = 0
    sent: int = 0

    async def follow(self, channel: grpc.aio.Channel) -> None:
        """Subscribe; a stream that ends, as some do that come all at once, begins again."""
        while True:
            with suppress(grpc.aio.AioRpcError):
                await self._subscribe(channel)
            await asyncio.sleep(1.0)

    async def _subscribe(self, channel: grpc.aio.Channel) -> None:
        """Ask for listeners, and accept whatever comes."""
        stream: Any = channel.stream_stream(
            f"/{SERVICE}/StreamAggregatedResources",
            response_deserializer=DiscoveryResponse.FromString,
        )()
        request = DiscoveryRequest(node=Node(id=self.node), type_url=LISTENER)
        await stream.write(request.SerializeToString())
        async for response in stream:
            self.pushed_at = time.perf_counter()
            version, nonce = response.version_info, response.nonce
            ack = DiscoveryRequest(type_url=LISTENER, version_info=version, response_nonce=nonce)
            await stream.write(ack.SerializeToString())

    async def report(self, channel: grpc.aio.Channel) -> None:
        """Send what it has gathered, again and again; a stream that ends begins again."""
        method: Any = channel.stream_unary(f"/{REPORTS_SERVICE}/StreamAccessLogs")
        while True:
            with suppress(grpc.aio.AioRpcError):
                await method(self._messages())
            await asyncio.sleep(1.0)

    async def _messages(self) -> AsyncIterator[bytes]:
        yield message(self.node, [])
        cache: dict[int, bytes] = {}
        await asyncio.sleep(FLUSH_SECONDS * (self.number % 100) / 100)
        while True:
            count = min(round(self.rate * FLUSH_SECONDS), 500)
            if count:
                hosts = [f"h{(self.number + n) % HOSTS}.example.org" for n in range(count)]
                yield cache.setdefault(count, message("", hosts))
                self.sent += count
            # A flood does not wait.
            await asyncio.sleep(0 if self.rate >= FLOOD else FLUSH_SECONDS)


def message(node: str, hosts: list[str]) -> bytes:
    """Connections that passthrough has let out."""
    result = StreamAccessLogsMessage()
    if node:
        result.identifier.node.id = node
    for host in hosts:
        entry: TCPAccessLogEntry = result.tcp_logs.log_entry.add()
        common = entry.common_properties
        common.start_time.GetCurrentTime()
        common.custom_tags.update({"log": "connection", "chain": "outbound-egress-filter-chain"})
        common.downstream_remote_address.socket_address.address = "10.0.0.8"
        common.downstream_local_address.socket_address.address = "192.0.2.7"
        common.downstream_local_address.socket_address.port_value = 443
        common.tls_properties.tls_sni_hostname = host
        common.upstream_cluster = "passthrough-outbound"
    return bytes(result.SerializeToString())


async def main() -> None:
    """Print a table, one row for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sidecars", type=int, default=1_000)
    count = parser.parse_args().sidecars
    print(f"{count:,} sidecars of {ACCOUNTS} service accounts; {MEASURED_S:g} s each")
    columns = ("reported/s", "read/s", "shed/s", "CPU %", "push ms", "last ms", "MiB")
    print(f"{'each sidecar reports':24}" + "".join(f"{name:>11}" for name in columns))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-bench-")))
        server = ServerProcess(folder, "--log-level", "error", services=0)
        pods = "".join(POD.format(n, n % ACCOUNTS) for n in range(count))
        (server.folder / "many.yaml").write_text(pods)
        path = server.folder / "meshconfig.yaml"
        reports = "spec:\n  observability: {observeEgress: reports}\n"
        path.write_text(path.read_text().replace("spec:\n", reports, 1))
        server.start()
        stack.callback(server.kill)
        sidecars = [Sidecar(f"p{n}.curl", n) for n in range(count)]
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(
                    server.address, options=(("grpc.use_local_subchannel_pool", 1),)
                )
            )
            for _ in range(2 * CHANNELS)
        ]
        tasks = []
        for number, sidecar in enumerate(sidecars):
            # An Envoy reports from its workers, which have connections of their own.
            own, workers = channels[number % CHANNELS], channels[CHANNELS + number % CHANNELS]
            tasks += [
                asyncio.ensure_future(sidecar.follow(own)),
                asyncio.ensure_future(sidecar.report(workers)),
            ]
        while not all(sidecar.pushed_at for sidecar in sidecars):
            await asyncio.sleep(0.1)
        for rate in RATES:
            await measure(server, sidecars, f"{rate} a second", [rate] * count)
        loud = [FLOOD] * 4 + [1] * (count - 4)
        await measure(server, sidecars, "1 a second, 4 flood", loud)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(
    server: ServerProcess, sidecars: list[Sidecar], name: str, rates: list[int]
) -> None:
    """Have the sidecars report, push meanwhile, and print what came of both."""
    for sidecar, rate in zip(sidecars, rates, strict=True):
        sidecar.rate = rate
    await asyncio.sleep(WARM_S)
    before, begun = await counts(server, sidecars), time.perf_counter()
    pushes = []
    for _ in range(PUSHES):
        pushes.append(await push(server, sidecars))
        await asyncio.sleep(MEASURED_S / PUSHES)
    took = time.perf_counter() - begun
    sent, read, shed, cpu = (
        (now - then) / took
        for now, then in zip(await counts(server, sidecars), before, strict=True)
    )
    half, last = (statistics.median(one) for one in zip(*pushes, strict=True))
    figures = (
        *(f"{sent:,.0f}", f"{read:,.0f}", f"{shed:,.1f}", f"{cpu * 100:.1f}"),
        *(f"{half:.0f}", f"{last:.0f}", f"{server.resident() / 2**20:.0f}"),
    )
    print(f"{name:24}" + "".join(f"{figure:>11}" for figure in figures), flush=True)


async def counts(
    server: ServerProcess, sidecars: list[Sidecar]
) -> tuple[float, float, float, float]:
    """Entries sent and read, messages shed, and seconds of the server's CPU so far."""
    read = await asyncio.to_thread(server.metric, "towpath_reports_total")
    name = "towpath_report_messages_total"
    shed = await asyncio.to_thread(server.metric, name, result="shed")
    return sum(sidecar.sent for sidecar in sidecars), read, shed, server.cpu_seconds()


async def push(server: ServerProcess, sidecars: list[Sidecar]) -> tuple[float, float]:
    """Milliseconds from a change of the mesh until half of the sidecars, and the last, have it."""
    begun = time.perf_counter()
    server.switch()
    async with asyncio.timeout(120):
        while not all(sidecar.pushed_at > begun for sidecar in sidecars):
            await asyncio.sleep(0.01)
    took = sorted(sidecar.pushed_at - begun for sidecar in sidecars)
    return took[len(took) // 2] * 1000, took[-1] * 1000


if __name__ == "__main__":
    asyncio.run(main())
