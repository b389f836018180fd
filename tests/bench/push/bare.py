"""The least that a grpc.aio server can do: a task for each stream, shared bytes, answers read.

Usage: python -m bench.push.bare KIND ADDRESS VARIANT FOLDER, as the peers in Go.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from towpath.xds.service import SERVICE


async def serve(address: str, variant: str, folder: Path) -> None:
    """Send every stream the responses of *folder* in turn, one for each line of the input."""
    names = ("first.delta", "b.delta", "a.delta") if variant == "delta" else ("a", "b", "a")
    bodies = [(folder / name).read_bytes() for name in names]
    version, changed = 0, asyncio.Event()

    async def handle(requests: AsyncIterator[bytes], context: Any) -> None:
        async def read() -> None:
            async for _ in requests:
                pass

        reading = asyncio.create_task(read())
        while not reading.done():
            waiting = changed
            await context.write(bodies[2 - version % 2 if version else 0])
            await waiting.wait()

    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(handle)
    methods = {"StreamAggregatedResources": method, "DeltaAggregatedResources": method}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        version += 1
        changed.set()
        changed = asyncio.Event()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2], sys.argv[3], Path(sys.argv[4])))
