"""How fast a change reaches 1,000 streams, beside a bare grpc.aio server that sends the same bytes.

Both servers run in processes of their own and the clients in a third; each client acknowledges what
it gets. Prints messages per second, p50 and p99 of convergence, the server's CPU per message and
its memory per stream. It takes a minute or two. Usage: push.py [--streams 1000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from support.control_plane import control_plane
from support.resources import snapshot
from towpath.hub.hub import Compose
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE

SIZES_KB = (1, 20, 200)
METHOD = f"/{SERVICE}/StreamAggregatedResources"
Push = Callable[[], None]


def _contents(size_kb: int, version: int) -> dict[str, dict[str, str]]:
    """Clusters of about 1 kB each; one of them changes with each version."""
    body = "x" * 900
    held = {f"cluster-{n:04}": body for n in range(size_kb)}
    held["cluster-0000"] = f"{body}{version}"
    return {CLUSTER: held}


async def _towpath(folder: Path, size_kb: int, commands: Connection) -> None:
    version = 0

    def compose(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        del kind
        # Reading the MeshConfig ties the snapshot to it, so that a change of it is a push.
        return current() if mesh.pod(sidecar) and mesh.mesh_name else None

    made: dict[int, Snapshot] = {}

    def current() -> Snapshot:
        if version not in made:
            made[version] = snapshot(_contents(size_kb, version))
        return made[version]

    typed: Compose = compose
    async with control_plane(folder, compose=typed) as plane:

        def push() -> None:
            nonlocal version
            version += 1
            for stream in tuple(plane.hub._followers.streams()):
                assert stream.record.account is not None
                stream.publish(
                    current(),
                    account=stream.record.account,
                    revision=version,
                    changed_at=None,
                )

        await _obey(plane.address, commands, push)


async def _bare(folder: Path, size_kb: int, commands: Connection) -> None:
    """The least that a grpc.aio server can do: one task a stream, shared bytes, answers read."""
    bodies: dict[int, bytes] = {}
    version, changed = 0, asyncio.Event()

    def body() -> bytes:
        if version not in bodies:
            held = snapshot(_contents(size_kb, version)).of(CLUSTER)
            message = DiscoveryResponse(version_info=held.version, type_url=CLUSTER, nonce="1")
            for one in held.values():
                message.resources.add().ParseFromString(one.packed)
            bodies[version] = message.SerializeToString()
        return bodies[version]

    async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
        async def read() -> None:
            async for data in requests:
                DiscoveryRequest.FromString(data)

        reading = asyncio.create_task(read())
        while not reading.done():
            waiting = changed
            await context.write(body())
            await waiting.wait()

    def push() -> None:
        nonlocal version, changed
        version += 1
        waiting, changed = changed, asyncio.Event()
        waiting.set()

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(serve)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"StreamAggregatedResources": handler}),)
    )
    address = f"unix:{folder}/bare.sock"
    server.add_insecure_port(address)
    await server.start()
    await _obey(address, commands, push)


async def _obey(address: str, commands: Connection, push: Push) -> None:
    """Tell the address, then push when told to, and what was used, until killed."""
    commands.send(address)
    loop = asyncio.get_running_loop()
    while True:
        command = await loop.run_in_executor(None, commands.recv)
        if command == "push":
            push()
        used = resource.getrusage(resource.RUSAGE_SELF)
        commands.send((used.ru_utime + used.ru_stime, _rss_kb()))


def _rss_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def _serve(which: str, folder: str, size_kb: int, commands: Connection) -> None:
    run = {"towpath": _towpath, "bare grpc.aio": _bare}[which]
    asyncio.run(run(Path(folder), size_kb, commands))


class _Clients:
    """Streams of one connection each; `received` is set when all have the newest push."""

    def __init__(self, address: str, count: int) -> None:
        self.count = count
        self.times: list[float] = []
        self.received = asyncio.Event()
        self._address = address
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        for number in range(self.count):
            self._tasks.append(asyncio.create_task(self._run(number)))
            if number % 50 == 49:
                await asyncio.sleep(0)
        await self.all_received()

    async def all_received(self) -> None:
        await asyncio.wait_for(self.received.wait(), 120)

    def begin(self) -> None:
        self.times, self.received = [], asyncio.Event()

    async def _run(self, number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
            method = channel.stream_stream(METHOD)
            call = method()
            node = Node(id="curl.curl", user_agent_name=f"bench-{number % 2}")
            first = DiscoveryRequest(node=node, type_url=CLUSTER)
            await call.write(first.SerializeToString())
            while (data := await call.read()) is not grpc.aio.EOF:
                self.times.append(time.perf_counter())
                if len(self.times) == self.count:
                    self.received.set()
                told = DiscoveryResponse.FromString(data)
                answer = DiscoveryRequest(
                    type_url=CLUSTER, version_info=told.version_info, response_nonce=told.nonce
                )
                await call.write(answer.SerializeToString())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _measure(which: str, size_kb: int, *, streams: int, rounds: int) -> None:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        server = context.Process(target=_serve, args=(which, folder, size_kb, theirs), daemon=True)
        server.start()
        loop = asyncio.get_running_loop()
        address = await loop.run_in_executor(None, mine.recv)
        mine.send("read")
        _, before = await loop.run_in_executor(None, mine.recv)
        clients = _Clients(address, streams)
        await clients.connect()
        await asyncio.sleep(0.5)  # the last answers are read
        mine.send("read")
        _, after = await loop.run_in_executor(None, mine.recv)
        rates, p50, p99, cpu = [], [], [], []
        for number in range(rounds + 1):
            mine.send("read")
            used, _ = await loop.run_in_executor(None, mine.recv)
            clients.begin()
            begun = time.perf_counter()
            mine.send("push")
            await loop.run_in_executor(None, mine.recv)
            await clients.all_received()
            await asyncio.sleep(0.5)
            mine.send("read")
            used_after, _ = await loop.run_in_executor(None, mine.recv)
            if number == 0:
                continue  # the first warms everything up
            took = sorted(at - begun for at in clients.times)
            rates.append(streams / took[-1])
            p50.append(took[len(took) // 2] * 1000)
            p99.append(took[int(len(took) * 0.99)] * 1000)
            cpu.append((used_after - used) / streams * 1e6)
        await clients.close()
        server.kill()
        await loop.run_in_executor(None, server.join)
    middle = statistics.median
    print(
        f"{which:>14} {size_kb:>4} kB  {middle(rates):>7.0f} msg/s  p50 {middle(p50):>6.1f} ms  "
        f"p99 {middle(p99):>6.1f} ms  {middle(cpu):>5.0f} us CPU/message  "
        f"{(after - before) / streams:>5.1f} kB/stream",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(
        f"{asked.streams} streams, load {os.getloadavg()[0]:.1f}, median of {asked.rounds} pushes"
    )
    asyncio.run(_compare(streams=asked.streams, rounds=asked.rounds))


async def _compare(*, streams: int, rounds: int) -> None:
    # In one loop: gRPC's poller outlives the channels, and calls the loop that it was begun in.
    for size_kb in SIZES_KB:
        for which in ("towpath", "bare grpc.aio"):
            await _measure(which, size_kb, streams=streams, rounds=rounds)


if __name__ == "__main__":
    main()
