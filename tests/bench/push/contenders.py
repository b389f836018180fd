"""The servers that are compared: each serves a mesh's clusters, and pushes when it is told to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.push.mesh import Mesh
from bench.push.process import SERVERS, Program
from support.ports import free_port
from towpath.model.types import CLUSTER

TOWPATH, FAST, BARE, FLOOR = "Towpath", "Towpath, fast", "grpc.aio bytes", "floor in C"
TRANSPORTS = {TOWPATH: "grpc", FAST: "fast"}
IN_GO = {"grpc-go bytes": "bytes", "LinearCache": "linear", "SnapshotCache": "snapshot"}
"""Contenders that the peers' program plays, and its word for them."""


@dataclass(frozen=True)
class Case:
    """What all contenders serve: *folder* holds the manifests, and the responses of two versions.

    *peers* is the program of the peers in Go, *floor* that of the server in C. A push changes one
    resource of *type_url*, of which each sidecar asks for as many as *names* says (0: for all).
    *tls* has the certificates of mutual TLS.
    """

    folder: Path
    mesh: Mesh
    variant: str
    peers: Path
    floor: Path
    type_url: str = CLUSTER
    names: int = 0
    tls: Path | None = None

    def lines(self) -> list[str]:
        """For each sidecar its node id and the names that it asks for."""
        clusters = self.mesh.clusters
        return [
            " ".join(
                (node, *(clusters[(n * self.names + i) % len(clusters)] for i in range(self.names)))
            )
            for n, node in enumerate(self.mesh.nodes)
        ]

    def subscribers(self) -> int:
        """How many sidecars a push is sent to."""
        first = self.mesh.clusters[0]
        return (
            sum(first in line.split() for line in self.lines())
            if self.names
            else len(self.mesh.nodes)
        )

    def environment(self) -> dict[str, str]:
        """What tells the peers of mutual TLS."""
        return {} if self.tls is None else {"TLS": str(self.tls)}


class Contender(Protocol):
    """A server that runs, and is ready."""

    @property
    def program(self) -> Program: ...
    @property
    def address(self) -> str: ...
    def push(self) -> None:
        """Begin to send every sidecar the next version."""


@dataclass(frozen=True)
class Towpath:
    """`towpath serve` as users run it; a push is a manifest that changes."""

    program: Program
    address: str
    case: Case

    def push(self) -> None:
        if self.case.type_url == CLUSTER:
            self.case.mesh.change()
        else:
            self.case.mesh.change_endpoint()


@dataclass(frozen=True)
class Peer:
    """A server that sends what Towpath sent, and the next version for a line on its input."""

    program: Program
    address: str

    def push(self) -> None:
        self.program.tell("push")


@contextmanager
def serving(name: str, case: Case) -> Iterator[Contender]:
    """The contender of that name, until the block ends."""
    address = f"127.0.0.1:{free_port()}"
    log = case.folder / f"{name}.log"
    if name in TRANSPORTS:
        command = [sys.executable, "-m", "towpath", "serve", f"--ads-address={address}"]
        command += [f"--manifests={case.mesh.folder}", "--http-address=127.0.0.1:0"]
        command.append(f"--transport={TRANSPORTS[name]}")
        command += [
            "--max-streams-per-peer=20000",
            "--max-connections-per-peer=20000",
            "--max-connections=80000",
        ]
        if case.tls is not None:
            command += [f"--tls-cert={case.tls}/server.crt", f"--tls-key={case.tls}/server.key"]
            command.append(f"--tls-client-ca={case.tls}/ca.crt")
        ready = "ADS"
    elif name == BARE:
        command = [sys.executable, "-m", "bench.push.bare", "bytes", address]
        command += [case.variant, str(case.folder)]
        ready = "ready"
    elif name == FLOOR:
        command = [str(case.floor), address, case.variant, str(case.folder)]
        ready = "ready"
    else:
        command = [str(case.peers), IN_GO[name], address, case.variant, str(case.folder)]
        ready = "ready"
    with Program(command, place=SERVERS, log=log, environment=case.environment()) as program:
        program.hear(ready)
        ours = name in TRANSPORTS
        yield Towpath(program, address, case) if ours else Peer(program, address)
