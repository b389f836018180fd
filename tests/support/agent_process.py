"""`towpath-agent` as a process, with a stand-in for Pipy, and what a test asks of both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from support import stand_in_pipy
from support.control_plane import ControlPlane
from support.ports import free_port
from towpath.model.types import SIDECAR
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

WITHIN_S = 40.0
STAND_IN = (sys.executable, "-S", "-E", stand_in_pipy.__file__)
AGENT = (sys.executable, "-c", "from towpath_client.agent.main import main; main()")


@dataclass
class AgentProcess:
    """One agent; `folder` is where its Pipy's `config.json` is."""

    folder: Path
    http_port: int
    process: asyncio.subprocess.Process

    def order(self, text: str) -> None:
        """Say how the stand-in's next reloads go."""
        fresh = self.folder / "orders.new"
        fresh.write_text(text)
        fresh.replace(self.folder / "orders")

    @property
    def seen(self) -> list[str]:
        """The versions that the stand-in has read."""
        path = self.folder / "seen"
        return path.read_text().split() if path.exists() else []

    @property
    def pid_of_pipy(self) -> int:
        return int((self.folder / "pid").read_text())

    @property
    def version(self) -> str:
        """Of the file that Pipy is to read."""
        return str(json.loads((self.folder / "config.json").read_text())["Version"])

    @property
    def lets_out(self) -> bool:
        """Whether that file opens the egress passthrough; false too where it closes everything."""
        spec = json.loads((self.folder / "config.json").read_text())["Spec"]
        return bool(spec and spec["Traffic"]["EnableEgress"])

    async def until_health(self, status: int) -> None:
        """Wait until the agent says so of itself."""
        async with asyncio.timeout(WITHIN_S):
            while (await self.page("/health"))[0] != status:
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it with no time to clean up."""
        self.process.kill()
        await self.ended()

    async def page(self, path: str) -> tuple[int, str]:
        """Status and body; (0, "") if nobody answers."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
        except OSError:
            return 0, ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), WITHIN_S)).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body.decode()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), WITHIN_S)


@contextlib.asynccontextmanager
async def agent_process(
    address: str, folder: Path, *options: str, own_child: bool = True
) -> AsyncIterator[AgentProcess]:
    """Run an agent for `curl.curl`; unless told otherwise the stand-in is its child."""
    port = free_port()
    child = ("--", *STAND_IN, str(folder)) if own_child else ()
    process = await asyncio.create_subprocess_exec(
        *AGENT,
        *("--server", address, "--node", "curl.curl", "--config", str(folder / "config.json")),
        *("--http-address", f"127.0.0.1:{port}", "--settle", "0.02", *options, *child),
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    agent = AgentProcess(folder, port, process)
    try:
        yield agent
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        with contextlib.suppress(OSError, ValueError):
            os.kill(agent.pid_of_pipy, 9)


def agent_by_pid_file(
    address: str, folder: Path, *options: str
) -> contextlib.AbstractAsyncContextManager[AgentProcess]:
    """Run an agent whose Pipy is `pipy_elsewhere`."""
    pid, log = str(folder / "pid"), str(folder / "log")
    ways = ("--pid-file", pid, "--pipy-log", log)
    return agent_process(address, folder, *ways, *options, own_child=False)


@contextlib.asynccontextmanager
async def pipy_elsewhere(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A stand-in for Pipy that is nobody's child, and outlives agents."""
    with (folder / "log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *STAND_IN, str(folder), stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def alive(pid: int) -> bool:
    """True if there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event tells of."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def delivery(plane: ControlPlane) -> pb.Delivery:
    """What the server lists of its one Pipy sidecar; an empty one while there is none."""
    address = plane.address if plane.tls is None else f"unix:{plane.local_socket}"
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await pb_grpc.InspectorStub(channel).ListSidecars(pb.ListSidecarsRequest())
    for sidecar in answer.sidecars:
        assert pb.Sidecar.PIPY == sidecar.client_kind
        for one in sidecar.deliveries:
            if one.type_url == SIDECAR:
                return one
    return pb.Delivery()


async def acknowledged(plane: ControlPlane, *, not_version: str = "") -> pb.Delivery:
    """Wait until the newest is acknowledged, and is another than that version."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            record = await delivery(plane)
            version = record.acknowledged.version
            if version and version == record.sent.version and version != not_version:
                return record
            await asyncio.sleep(0.02)


async def sent(plane: ControlPlane, *, responses: int) -> None:
    """Wait until so many responses have been sent."""
    async with asyncio.timeout(WITHIN_S):
        while (await delivery(plane)).responses < responses:
            await asyncio.sleep(0.02)


async def rejected(plane: ControlPlane) -> pb.Delivery:
    """Wait until the server knows of a rejection."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            record = await delivery(plane)
            if record.HasField("rejected"):
                return record
            await asyncio.sleep(0.02)
