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
from support.xds.process import free_port

TOWPATH, FAST, BARE = "Towpath", "Towpath, fast", "grpc.aio bytes"
TRANSPORTS = {TOWPATH: "grpc", FAST: "fast"}
IN_GO = {"grpc-go bytes": "bytes", "LinearCache": "linear", "SnapshotCache": "snapshot"}
"""Contenders that the peers' program plays, and its word for them."""


@dataclass(frozen=True)
class Case:
    """What all contenders serve: *folder* holds the manifests, and the responses of two versions.

    *peers* is the program of the peers in Go.
    """

    folder: Path
    mesh: Mesh
    variant: str
    peers: Path


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
    mesh: Mesh

    def push(self) -> None:
        self.mesh.change()


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
        ready = "ADS"
    elif name == BARE:
        command = [sys.executable, "-m", "bench.push.bare", "bytes", address]
        command += [case.variant, str(case.folder)]
        ready = "ready"
    else:
        command = [str(case.peers), IN_GO[name], address, case.variant, str(case.folder)]
        ready = "ready"
    with Program(command, place=SERVERS, log=log) as program:
        program.hear(ready)
        ours = name in TRANSPORTS
        yield Towpath(program, address, case.mesh) if ours else Peer(program, address)
