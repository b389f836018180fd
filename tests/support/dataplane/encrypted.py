"""A mesh whose pods speak mutual TLS, with a service for each protocol."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.certificates import Certificates
from support.dataplane import encrypting
from support.dataplane.clients import Address
from support.dataplane.hosts import (
    APP_BANNER_PORT,
    APP_TLS_PORT,
    ECHO_PORT,
    MIRROR_PORT,
    Hosts,
)
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.process import Process
from support.dataplane.rig import Rig, open_rig
from support.dataplane.wait import until
from towpath.ca import Authority
from towpath.encode.envoy.bootstrap import Transport
from towpath.planning.identity import MARK

GRPC_PORT = 50051
WEB: Address = ("10.96.0.20", 80)
MAIL: Address = ("10.96.0.31", 25)
ECHO: Address = ("10.96.0.32", ECHO_PORT)
OWN_TLS: Address = ("10.96.0.33", 443)
GRPC: Address = ("10.96.0.34", GRPC_PORT)
MIRROR: Address = ("10.96.0.35", 80)
SERVICES: Mapping[str, tuple[Address, int, str]] = {
    "mail": (MAIL, APP_BANNER_PORT, "tcp-server-first"),
    "echo": (ECHO, ECHO_PORT, "tcp"),
    "own-tls": (OWN_TLS, APP_TLS_PORT, "https"),
    "grpc": (GRPC, GRPC_PORT, "grpc"),
    "mirror": (MIRROR, MIRROR_PORT, "http"),
}
"""Beside `bookstore`: where each is dialled, the port of its pod, and what it speaks."""

SERVER = "bookstore-0"
_GRPC_SERVER = f"""
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
server = grpc.server(futures.ThreadPoolExecutor(2))
health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
reflection.enable_server_reflection([health.SERVICE_NAME, reflection.SERVICE_NAME], server)
server.add_insecure_port("0.0.0.0:{GRPC_PORT}")
server.start()
server.wait_for_termination()
"""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The mesh, and the folder of its authority."""

    rig: Rig
    authority: Path

    def set_mode(self, mode: str | None, *, namespace: str | None = None) -> None:
        """Say it in the MeshConfig, or as the annotation of a namespace."""
        manifests = self.rig.manifests
        if namespace is None:
            change = {"spec": {"traffic": {"mtls": mode}}}
            manifests.patch("MeshConfig", "osm-mesh-config", change)
        else:
            annotations = {MARK[0]: mode}
            manifests.patch("Namespace", namespace, {"metadata": {"annotations": annotations}})

    def mark(self, pod: str, *, marked: bool = True) -> None:
        mark(self.rig.manifests, pod, marked=marked)

    def chains(self, pod: str = SERVER) -> set[str]:
        """The chains of the pod's inbound listener that takes connections now."""
        listeners = self.rig.sidecars[pod].admin.listeners()
        if "inbound-listener" not in listeners:
            return set()
        chains = listeners["inbound-listener"]["listener"]["filter_chains"]
        return {chain["name"] for chain in chains}

    def until_chains(self, wanted: Callable[[set[str]], bool], *, what: str) -> None:
        self.rig.sidecars[SERVER].until(self.chains, wanted, what=what)

    def handshakes(self, pod: str = SERVER) -> int:
        """How many TLS handshakes the pod's sidecar has completed as a server."""
        return self.rig.sidecars[pod].admin.stat("listener.0.0.0.0_15003.ssl.handshake")

    def plaintext(self, pod: str = SERVER) -> int:
        """How many connections have come to the pod in plaintext."""
        pattern = r"(http|tcp)\.inbound-plain_\d+\.downstream_cx_total"
        return sum(self.rig.sidecars[pod].admin.stats(pattern).values())

    def renew(self, *, seconds: int) -> None:
        """Have all leaves replaced by ones that are valid for so long."""
        encrypting.set_validity(self.authority, timedelta(seconds=seconds))

    def rotate(self, step: str) -> Authority:
        """Take a step of a rotation of the authority."""
        return encrypting.rotate(self.authority, step)

    def spoil(self, *, spoiled: bool) -> None:
        """Have leaves sent with other keys than their own, or no longer."""
        encrypting.spoil(self.authority, spoiled=spoiled)

    def leaves(self, pod: str) -> frozenset[str]:
        """The serial numbers of the leaves that the pod's sidecar has."""
        return self.rig.sidecars[pod].admin.serials("spiffe://")

    def roots(self, pod: str) -> list[frozenset[str]]:
        """Of each secret that says whom the pod's sidecar trusts, the roots in it (PEM)."""
        return self.rig.sidecars[pod].admin.trusted()


def mark(manifests: Manifests, pod: str, *, marked: bool = True) -> None:
    """Give a pod the mark, or take it away."""
    labels = {MARK[0]: MARK[1] if marked else None}
    manifests.patch("Pod", pod, {"metadata": {"labels": labels}})


@contextmanager
def open_encrypted(
    network: Network,
    hosts: Hosts,
    *,
    transport: Transport,
    folder: Path,
    marked: Sequence[str] = ("curl", SERVER),
    validity: timedelta = encrypting.DAY,
    prepare: Callable[[Manifests], Any] = lambda _: None,
) -> Iterator[Encrypted]:
    """Serve the demo mesh with an authority, and a second pod of the service that is not yet an
    endpoint; the pods *marked* speak mutual TLS.
    """
    manifests = Manifests(WITH_A_SERVICE, folder / "manifests")
    manifests.add_pod(SERVER, name="bookstore-1", address=POD_ADDRESSES["bookstore-1"])
    for name, (address, target, protocol) in SERVICES.items():
        manifests.add_service(
            "bookstore",
            name=name,
            address=address[0],
            port=address[1],
            target_port=target,
            protocol=protocol,
        )
    for pod in marked:
        mark(manifests, pod)
    prepare(manifests)
    (authority := folder / "authority").mkdir()
    serve = encrypting.prepare(authority, validity=validity)
    certificates = Certificates(folder, name="streams")
    rig = open_rig(
        network,
        hosts,
        manifests,
        transport=transport,
        folder=folder,
        certificates=certificates,
        serve=serve,
    )
    with rig as opened:
        yield Encrypted(opened, authority)


@contextmanager
def grpc_server(rig: Rig) -> Iterator[None]:
    """A gRPC server in the service's pod, with the health service."""
    command = (sys.executable, "-c", _GRPC_SERVER)
    process = Process(rig.network.pods[SERVER], "grpc", command, folder=rig.folder)
    process.start()
    try:
        pod = rig.network.pods[SERVER]
        until(lambda: _listens(pod), bool, what="gRPC is served", context=process.tail)
        yield
    finally:
        process.stop()


def _listens(pod: Namespace) -> bool:
    with pod.connect("127.0.0.1", GRPC_PORT):
        return True
