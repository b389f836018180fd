"""Towpath as a process of its own, on a folder of many services, so that it can be killed, and its
memory be measured.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc.aio
from prometheus_client.parser import text_string_to_metric_families

from support.ports import free_port
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

DEMO = Path(__file__).parents[3] / "deploy" / "demo" / "mesh"
NODE = "curl.curl"
READY_WITHIN_S = 60.0
_SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{0}, namespace: bookstore}}
spec:
  clusterIP: 10.97.{1}.{2}
  clusterIPs: [10.97.{1}.{2}]
  selector: {{app: bookstore}}
  ports: [{{name: http, port: 80, targetPort: 8080, protocol: TCP}}]
---
"""


class ServerProcess:
    """`towpath serve` on a copy of the demo mesh and *services* more, on a socket in *folder*."""

    def __init__(self, folder: Path, *options: str, services: int = 200) -> None:
        self.folder = folder / "mesh"
        shutil.copytree(DEMO, self.folder)
        more = (_SERVICE.format(n, n // 250, n % 250 + 1) for n in range(services))
        (self.folder / "many.yaml").write_text("".join(more))
        self.address = f"unix:{folder}/ads.sock"
        self.tcp_port = 0
        self.most_descriptors = 0
        """How many it may have; 0: as many as this process."""
        self._log = folder / "log"
        self._options = options
        self.http_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def listen_on_tcp(self) -> None:
        """Serve on a loopback port in place of the socket; to be called before `start`."""
        self.tcp_port = free_port()
        self.address = f"127.0.0.1:{self.tcp_port}"

    def start(self) -> None:
        """Start it, and return when it is ready."""
        command = (
            *(sys.executable, "-m", "towpath", "serve", "--manifests", str(self.folder)),
            *("--ads-address", self.address, "--http-address", f"127.0.0.1:{self.http_port}"),
            *self._options,
        )
        if self.most_descriptors:
            command = ("prlimit", f"--nofile={self.most_descriptors}", *command)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as the kernel does that is out of memory."""
        self._running.kill()
        self._running.wait(10)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._running.terminate()
        self._running.wait(10)

    def send(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended."""
        return self._running.wait(seconds)

    def log(self) -> str:
        return self._log.read_text()[-5000:]

    def lines(self) -> list[str]:
        """All that it has written, to either stream."""
        return self._log.read_text().splitlines()

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        pages = Path(f"/proc/{self._running.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self._running.pid}/fd").iterdir()))

    def alive(self) -> bool:
        """Whether `/health/alive` is answered."""
        try:
            return self._get("/health/alive")[0] == 200
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        """What it has used of processors so far."""
        fields = Path(f"/proc/{self._running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name which carry these labels."""
        _, body = self._get("/metrics")
        samples = (s for one in text_string_to_metric_families(body) for s in one.samples)
        return sum(
            s.value for s in samples if s.name == name and labels.items() <= s.labels.items()
        )

    def switch(self) -> None:
        """Change the mesh: egress is allowed where it was not, or the other way round."""
        path = self.folder / "meshconfig.yaml"
        text = path.read_text()
        before, after = ("false", "true") if "enableEgress: false" in text else ("true", "false")
        fresh = path.with_suffix(".new")
        fresh.write_text(text.replace(f"enableEgress: {before}", f"enableEgress: {after}"))
        fresh.replace(path)

    async def versions(self) -> dict[str, str]:
        """By type URL: the versions that NODE is to hold now."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = pb_grpc.InspectorStub(channel)
            answer = await stub.GetSnapshot(pb.GetSnapshotRequest(node_id=NODE), timeout=30)
        return {one.type_url: one.version for one in answer.types}

    async def changed(self, within: float = 10.0) -> dict[str, str]:
        """Change the mesh, and give the versions that this leads to."""
        before = await self.versions()
        self.switch()
        async with asyncio.timeout(within):
            while (after := await self.versions()) == before:
                await asyncio.sleep(0.01)
        return after

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _ready(self) -> bool:
        try:
            return self._get("/health/ready")[0] == 200
        except OSError:
            return False

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()
