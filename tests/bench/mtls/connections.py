"""CPU that two real sidecars need for each new connection and each request, in plaintext and by
mutual TLS. The machine is shared: what holds is the ratio within one run.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.dataplane import needs
from support.dataplane.encrypted import ECHO, SERVER, WEB, Encrypted, open_encrypted
from support.dataplane.hosts import Hosts
from support.dataplane.network import open_network
from support.dataplane.wait import equals
from towpath.encode.envoy.bootstrap import Transport

ROUNDS = 3
CONNECTIONS, REQUESTS = 400, 2_000
CLUSTERS = ("bookstore/echo|9000", "bookstore/bookstore|80")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_REQUEST = b"GET / HTTP/1.1\r\nhost: bench.test\r\n\r\n"
_GREETING = b"good morning"
"""Long enough for who looks for TLS in it: with less it would wait for more."""

_END = b"bookstore-0\n"


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU for one connection or request."""

    client: float
    server: float


def main() -> int:
    """Print a row for each kind of work; the rounds alternate between the two transports."""
    if reason := needs.unmet():
        print(f"make bench-mtls {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        network = stack.enter_context(open_network())
        hosts = stack.enter_context(Hosts(folder))
        hosts.serve(network)
        opened = open_encrypted(network, hosts, transport=Transport.DELTA, folder=folder)
        mesh = stack.enter_context(opened)
        costs: dict[tuple[str, str], list[Cost]] = {}
        for _ in range(ROUNDS):
            for transport, mode in (("plaintext", "disabled"), ("mutual TLS", "permissive")):
                _switch(mesh, mode)
                for work, (count, act) in WORKS.items():
                    cost = _measure(mesh, count, act)
                    costs.setdefault((work, transport), []).append(cost)
    _print(costs)
    return 0


def _switch(mesh: Encrypted, mode: str) -> None:
    mesh.set_mode(mode)
    clusters = mesh.rig.sidecar.admin.clusters
    mesh.rig.sidecar.until(
        lambda: [
            "transport_socket_matches" in clusters().get(name, {}).get("cluster", {})
            for name in CLUSTERS
        ],
        equals([mode != "disabled"] * len(CLUSTERS)),
        what=f"calls are {mode}",
    )
    # A connection that is pooled from before would hide the change.
    mesh.rig.sidecar.until(
        lambda: mesh.rig.sidecar.admin.stats(r"^cluster\..*bookstore\|80\.upstream_cx_active$"),
        lambda active: not any(active.values()),
        what="no connection is left from before",
    )


def _measure(mesh: Encrypted, count: int, act: Callable[[Encrypted, int], None]) -> Cost:
    pids = [mesh.rig.sidecars[pod].process.pid for pod in ("curl", SERVER)]
    act(mesh, count // 10)
    before = [_cpu_s(pid) for pid in pids]
    act(mesh, count)
    client, server = (
        1000 * (_cpu_s(pid) - since) / count for pid, since in zip(pids, before, strict=True)
    )
    return Cost(client, server)


def _connect(mesh: Encrypted, count: int) -> None:
    for _ in range(count):
        with mesh.rig.client.connect(*ECHO) as connection:
            connection.sendall(_GREETING)
            assert connection.recv(100) == _GREETING


def _request(mesh: Encrypted, count: int) -> None:
    with mesh.rig.client.connect(*WEB) as connection:
        for _ in range(count):
            connection.sendall(_REQUEST)
            _read_answer(connection)


def _read_answer(connection: socket.socket) -> None:
    answer = b""
    while not answer.endswith(_END):
        more = connection.recv(4096)
        assert more, "the connection was cut"
        answer += more


WORKS: Mapping[str, tuple[int, Callable[[Encrypted, int], None]]] = {
    "new TCP connection": (CONNECTIONS, _connect),
    "HTTP request on an open connection": (REQUESTS, _request),
}


def _cpu_s(pid: int) -> float:
    """What a process has used so far, in user and in kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _print(costs: Mapping[tuple[str, str], list[Cost]]) -> None:
    print(f"{ROUNDS} rounds; median milliseconds of CPU, client's sidecar and server's")
    print(f"{'for each':36} {'transport':12} {'client':>7} {'server':>7} {'both':>7}")
    for (work, transport), rounds in costs.items():
        client = statistics.median(cost.client for cost in rounds)
        server = statistics.median(cost.server for cost in rounds)
        print(f"{work:36} {transport:12} {client:7.3f} {server:7.3f} {client + server:7.3f}")
    for work in WORKS:
        plain, tls = (
            statistics.median(cost.client + cost.server for cost in costs[work, transport])
            for transport in ("plaintext", "mutual TLS")
        )
        print(f"{work}: mutual TLS needs {tls / plain:.1f} times the CPU")
