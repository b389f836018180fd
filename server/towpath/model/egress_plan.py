"""EgressPlan: what policies open for one service account, merged; a part of its Plan.

On each port a connection is judged by its address first, then by what it says at its beginning:
plain HTTP by its host, TLS by its server name, anything else as bytes. An `AddressRange` is
the CIDR blocks that the same policies apply to on one port, and holds everything that any policy
allows there, so that the one with the narrowest block around an address decides alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from towpath.model.egress import ConnectionSettings, RequestMatch
from towpath.model.hashed import HashedOnce

PASSTHROUGH = "passthrough-outbound"
"""The target that every sidecar has: the address that was dialled, without any limit."""


class Resolution(StrEnum):
    """How the address of a target is found."""

    NAME = "name"  # one host, found by DNS: never an address that the client chose
    PATTERN = "pattern"  # the host that the client names, if it fits `*.example.com`, by DNS
    ADDRESS = "address"  # the address that was dialled


@dataclass(frozen=True, slots=True, order=True)
class EgressTarget:
    """A destination outside the mesh; `host` is "" for `Resolution.ADDRESS`.

    A *searched* name is one that the pod's search list completes, such as `db.data` for a Service.
    """

    name: str
    resolution: Resolution
    host: str
    port: int
    settings: ConnectionSettings = field(default=ConnectionSettings())
    searched: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """Requests that policies allow, and the target they go to."""

    match: RequestMatch
    target: str
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Host:
    """Plain HTTP requests for one host name or pattern.

    A request that no route allows goes to `otherwise`, or is refused if that is None. `policies`
    are all that name this host.
    """

    host: str
    routes: tuple[Route, ...]
    otherwise: str | None
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class ServerName:
    """TLS connections that ask for one name or pattern; refused if there is no target."""

    host: str
    target: str | None
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddressRange:
    """What is allowed on one port towards some ranges of addresses (none: any address).

    No CIDR block is in two address ranges of a port.

    `hosts` is None where nobody looks at HTTP, and empty where only people observe it;
    `other_hosts` is where requests for a host that no policy names go, `other_tls` likewise, and
    `bytes` takes what is left. None: not allowed by a policy here, so that only passthrough, if it
    is on, may let it out.
    """

    ranges: tuple[str, ...] = ()
    hosts: tuple[Host, ...] | None = None
    other_hosts: str | None = None
    server_names: tuple[ServerName, ...] = ()
    other_tls: str | None = None
    bytes: str | None = None
    tls_policies: tuple[str, ...] = ()
    bytes_policies: tuple[str, ...] = ()

    @property
    def range(self) -> str | None:
        """The first of its ranges, by which it is named; None for any address."""
        return self.ranges[0] if self.ranges else None


@dataclass(frozen=True, slots=True)
class EgressPort:
    """One port; on a *server_first* one nobody waits for the client's first bytes.

    An address range stands behind those that have a block around one of its own.
    """

    number: int
    address_ranges: tuple[AddressRange, ...]
    server_first: bool


class Ports(HashedOnce[EgressPort]):
    """Ports, by number."""


class EgressTargets(HashedOnce[EgressTarget]):
    """Targets, by name."""


@dataclass(frozen=True, slots=True)
class EgressPlan:
    """All that policies open for one service account.

    `single` are ports and addresses that an address range has a block of their own for (`/32`).
    With `reports` the sidecar tells the control plane of each connection and request.
    """

    ports: Ports = Ports()
    targets: EgressTargets = EgressTargets()
    single: frozenset[tuple[int, str]] = frozenset()
    reports: bool = False
