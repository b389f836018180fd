"""What it costs `towpath serve` to follow a cluster: the first picture, an event, an outage.

Runs against a real API server: python tests/bench/kube.py [--services N] [--pods N] [--events N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from support.kube.cluster import Cluster
from support.kube.mesh import install
from support.ports import free_port

SPACES = 20
WRITERS = 16
NOTE = {"note": "x" * 1500}
"""Real pods are some KiB long: most of it is what Towpath does not read."""


class Server:
    """One `towpath serve`, and what it has used."""

    def __init__(self, kubeconfig: Path) -> None:
        ads, self._http = free_port(), free_port()
        addresses = (f"--ads-address=127.0.0.1:{ads}", f"--http-address=127.0.0.1:{self._http}")
        serve = (sys.executable, "-m", "towpath", "serve", f"--kubeconfig={kubeconfig}")
        self._process = subprocess.Popen(
            [*serve, *addresses],
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def page(self, path: str) -> str:
        try:
            url = f"http://127.0.0.1:{self._http}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            return ""

    def pods(self) -> int:
        line = r'^towpath_objects\{kind="Pod"\} (\S+)$'
        found = re.search(line, self.page("/metrics"), re.MULTILINE)
        return int(float(found[1])) if found else -1

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self, which: str = "VmRSS") -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{which}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    async def until_pods(self, count: int) -> None:
        async with asyncio.timeout(300):
            while self.pods() != count:
                await asyncio.sleep(0.05)


def _service(number: int) -> tuple[str, dict[str, Any]]:
    name, space = f"svc-{number}", f"space-{number % SPACES}"
    ports = [{"name": "http", "port": 80}]
    spec = {"ports": ports, "selector": {"app": name}}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    return f"/api/v1/namespaces/{space}/services", body


def _pod(number: int, services: int) -> tuple[str, dict[str, Any]]:
    of = number % services
    metadata = {"name": f"pod-{number}", "labels": {"app": f"svc-{of}"}, "annotations": NOTE}
    containers = [{"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}]
    spec = {"containers": containers, "serviceAccountName": f"svc-{of}"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return f"/api/v1/namespaces/space-{of % SPACES}/pods", body


class Writer:
    """Raw requests as the administrator."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def write(self, requests: Iterable[tuple[str, str, Any]]) -> None:
        waiting = iter(requests)

        async def work() -> None:
            for method, path, body in waiting:
                kind = "merge-patch+json" if method == "PATCH" else "json"
                head = {"Content-Type": f"application/{kind}"}
                url = self._url + path
                async with self._session.request(method, url, json=body, headers=head) as answer:
                    text = await answer.text()
                    assert answer.status in (200, 201), text

        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(work())


@asynccontextmanager
async def _writer(cluster: Cluster) -> AsyncIterator[Writer]:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    user = yaml.safe_load(cluster.kubeconfig().read_text())["users"][0]["user"]
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust),
        headers={"Authorization": f"Bearer {user['token']}"},
    ) as session:
        yield Writer(cluster.url, session)


async def _measure(cluster: Cluster, *, services: int, pods: int, events: int) -> None:
    install(cluster)
    spaces = [{"metadata": {"name": f"space-{n}"}} for n in range(SPACES)]
    async with _writer(cluster) as writer:
        await writer.write(("POST", "/api/v1/namespaces", space) for space in spaces)
        await writer.write(("POST", *_service(n)) for n in range(services))
        await writer.write(("POST", *_pod(n, services)) for n in range(pods))

        begun = time.monotonic()
        server = Server(cluster.kubeconfig())
        try:
            while not server.page("/health/ready"):
                await asyncio.sleep(0.02)
            took, used = time.monotonic() - begun, server.cpu_s()
            await server.until_pods(pods)
            print(f"{services:,} services, {pods:,} pods")
            print(f"ready after                    {took:8.2f} s, {used:.2f} s of them CPU")
            peak = server.rss_mib("VmHWM")
            print(f"resident memory                {server.rss_mib():8.0f} MiB, at most {peak:.0f}")

            used = server.cpu_s()
            changes = [
                (f"{path}/{body['metadata']['name']}", {"metadata": {"labels": {"turn": str(n)}}})
                for n in range(events)
                for path, body in [_pod(n % pods, services)]
            ]
            await writer.write(("PATCH", path, body) for path, body in changes)
            await writer.write([("POST", *_pod(pods, services))])
            await server.until_pods(pods + 1)
            each = (server.cpu_s() - used) / events * 1e6
            print(f"CPU for each of {events:,} events    {each:8.0f} µs")

            cluster.kill()
            await asyncio.sleep(5)
            begun, used = time.monotonic(), server.cpu_s()
            await asyncio.sleep(20)
            share = (server.cpu_s() - used) / (time.monotonic() - begun)
            print(f"CPU with the API server away   {share:8.2%} of a core")
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        asyncio.run(
            _measure(cluster, services=given.services, pods=given.pods, events=given.events)
        )


if __name__ == "__main__":
    main()
