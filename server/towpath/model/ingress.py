"""IngressBackend as its authors write it: who may call from outside the mesh."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.names import Kind, Referable, Stamp


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """A Service of its namespace, and a port of its pods.

    With *tls* it is mutual TLS that is let in, for `hosts` alone if there are any; else plaintext.
    """

    service: str
    port: int
    tls: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressBackend(Referable):
    """What is let in at some Services of its namespace, whoever calls from the sources.

    `services` (namespaces and names), whose endpoints call, and `ranges` (CIDR blocks) are the
    addresses from which calls come, `principals` names in certificates as authors write them. It is
    `addressed` if addresses were asked for, and `certified` if certificates were, were it by what
    cannot be read. One that is `closed` lets nothing in: its author meant something that cannot be
    read.
    """

    namespace: str
    name: str
    backends: tuple[Backend, ...]
    services: tuple[tuple[str, str], ...] = ()
    ranges: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    addressed: bool = False
    certified: bool = False
    closed: bool = False
    stamp: Stamp = Stamp()

    kind = Kind.INGRESS_BACKEND

    def groups(self) -> tuple[Hashable, ...]:
        return (
            *{("backend", self.namespace, backend.service) for backend in self.backends},
            *(("source", *service) for service in self.services),
            *(("principal", name) for name in self.principals),
        )
