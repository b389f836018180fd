"""Plan: what one sidecar must do; it names neither Kubernetes nor Envoy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.model.egress import ConnectionSettings, RequestMatch
from towpath.model.egress_plan import EgressPlan
from towpath.model.hashed import HashedOnce
from towpath.model.identity import TLS_DEFAULTS, TlsParameters
from towpath.model.limits import RateLimits
from towpath.model.names import Account, Protocol
from towpath.model.retries import RetryPolicy

_DESTINATION = re.compile(r"(?P<namespace>[^./|:]+)/(?P<service>[^/|:]+)\|(?P<port>[0-9]+)")


def destination_name(namespace: str, service: str, port: int) -> str:
    """What a service port's cluster is called, whoever dials it."""
    return f"{namespace}/{service}|{port}"


def destination_of(name: str) -> tuple[str, str, int] | None:
    """Namespace, service and port that `destination_name` gives this name for; None for others."""
    match = _DESTINATION.fullmatch(name)
    return (match["namespace"], match["service"], int(match["port"])) if match else None


@dataclass(frozen=True, slots=True, order=True)
class Branch:
    """A part of what is sent to a destination, and the destinations that share it.

    `matches` are the requests that are meant, any of them (none: all, and bytes too). `shares` are
    names of destinations and their weights, each above 0, sorted; without any it is refused.
    `policy` is the policy that says so (`<namespace>/<name>`), "" for what no policy speaks of.
    """

    policy: str
    matches: tuple[RequestMatch, ...]
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """One port of an in-mesh service, as a client reaches it.

    `addresses` are IPv4 addresses dialled by clients: the service's own, or, when `direct`, those
    of its endpoints; a direct connection goes to the very address that was dialled. One without
    addresses is there for others that share with it.

    `branches` say where what is sent to it goes, in the order in which they are tried, the last for
    all that is left; without any it goes to the destination itself. `settings` limit what each
    client sends to its own endpoints, from wherever it comes. Of its endpoints those of pods of
    `accounts` alone are called; without any, all are.
    """

    namespace: str
    service: str
    port: int
    protocol: Protocol
    addresses: tuple[str, ...]
    direct: bool
    branches: tuple[Branch, ...] = ()
    settings: ConnectionSettings = ConnectionSettings()
    accounts: tuple[Account, ...] = ()

    @property
    def name(self) -> str:
        return destination_name(self.namespace, self.service, self.port)


class Destinations(HashedOnce[Destination]):
    """Destinations, sorted."""


Retries = tuple[tuple[str, RetryPolicy], ...]
"""Names of destinations and how requests for them are sent again, sorted."""


@dataclass(frozen=True, slots=True, order=True)
class ProxylessTarget:
    """One port of an in-mesh service, as a client without a sidecar asks for it.

    `names` are what it may be called in `xds:///NAME`; no two targets share one. `max_requests` is
    how many calls at once each client makes at the most (None: any number).
    """

    namespace: str
    service: str
    port: int
    names: tuple[str, ...]
    branches: tuple[Branch, ...] = ()
    max_requests: int | None = None

    @property
    def name(self) -> str:
        return destination_name(self.namespace, self.service, self.port)


class ProxylessTargets(HashedOnce[ProxylessTarget]):
    """ProxylessTargets, sorted."""


@dataclass(frozen=True, slots=True)
class ProxylessPlan:
    """What a client without a sidecar may call; `refusal` says why there is nothing at all."""

    targets: ProxylessTargets = ProxylessTargets()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class ClientMtls:
    """As whom a sidecar calls by mutual TLS, and which of its destinations."""

    account: Account
    destinations: Destinations
    parameters: TlsParameters = TLS_DEFAULTS


@dataclass(frozen=True, slots=True, order=True)
class Refused:
    """Addresses in the mesh that may not be called on a port; whether HTTP is spoken there, so that
    a refusal can say so.
    """

    port: int
    http: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outbound:
    """What a sidecar lets out: in-mesh destinations, what policies open outside, and whether
    the rest passes through. Without `mtls` all of it goes as the application sends it. Addresses
    in the mesh that are `refused` are never taken for the rest. `retries` are about requests for
    its destinations.
    """

    destinations: Destinations
    passthrough: bool
    egress: EgressPlan = EgressPlan()
    mtls: ClientMtls | None = None
    refused: tuple[Refused, ...] = ()
    retries: Retries = ()


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """HTTP requests of one method for one path, with any query."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Permit:
    """What one policy (`<namespace>/<name>`) lets in on a port, and from whom.

    Who calls is told in plaintext by `addresses`, by mutual TLS by the `names` in certificates;
    both are those of the same accounts. `requests` are any of those that are let in, where they can
    be seen.
    """

    policy: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    requests: tuple[RequestMatch, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Ingress:
    """Any request from outside the mesh, which a policy lets in on a port beside all else.

    With `names` it is by mutual TLS from whose certificate has one of them, and asks for one of
    `hosts`, if there are any; else in plaintext. In both cases from one of these `ranges` (CIDR
    blocks); by mutual TLS from anywhere if there are none.
    """

    policy: str
    ranges: tuple[str, ...]
    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port of this pod that an in-mesh service leads to, or that the kubelet probes.

    `probes` is None where services lead to the port, and else the only requests that are let in:
    those of the kubelet. Without any it only connects, and nothing else is let in.

    `permits` is None where everything is let in from anyone; else what policies let in, and beside
    it the kubelet's requests in `health`. `ingress` is let in as well, in strict mode too.
    `limits` hold for all of it alike. `shadow` is what policies would let in if they decided, which
    is only counted; None where they do, or where nobody counts. With `reports` the sidecar tells
    the control plane of each request that they refuse, or would refuse.
    """

    port: int
    protocol: Protocol
    services: tuple[str, ...]
    probes: tuple[Request, ...] | None = None
    permits: tuple[Permit, ...] | None = None
    health: tuple[Request, ...] = ()
    limits: RateLimits = RateLimits()
    ingress: tuple[Ingress, ...] = ()
    shadow: tuple[Permit, ...] | None = None
    reports: bool = False

    @property
    def tls_ingress(self) -> tuple[Ingress, ...]:
        """What of it comes by mutual TLS."""
        return tuple(one for one in self.ingress if one.names)

    @property
    def plain_ingress(self) -> tuple[Ingress, ...]:
        """What of it comes in plaintext."""
        return tuple(one for one in self.ingress if not one.names)

    @property
    def owner(self) -> str:
        """The first service that leads to the port, or, where none does, who probes it."""
        return self.services[0] if self.services else "kubelet"

    @property
    def cluster_name(self) -> str:
        """The name of the cluster of the application's own port.

        It is called by the port alone: by a service, all that leads there would change whenever
        another service came to lead to it.
        """
        return f"inbound|{self.port}|local"


@dataclass(frozen=True, slots=True)
class ServerMtls:
    """As whom a sidecar answers mutual TLS, on all ports that services lead to.

    If it is `strict`, these ports let in nothing else but the kubelet's `probes` of them.
    """

    account: Account
    strict: bool = False
    probes: tuple[InboundPort, ...] = ()
    parameters: TlsParameters = TLS_DEFAULTS


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a sidecar lets in, one entry for each port number, sorted by it. Without `mtls`
    it takes no mutual TLS.
    """

    ports: tuple[InboundPort, ...]
    mtls: ServerMtls | None = None

    @property
    def open(self) -> bool:
        """True if no port that services lead to asks who calls, or for what."""
        strict = self.mtls is not None and self.mtls.strict
        return all(
            port.permits is None and not (strict and port.plain_ingress) for port in self.ports
        )


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """What makes one sidecar's plan another than the next one's: its account, as whom it calls by
    mutual TLS (None: it does not), and what it lets in.
    """

    account: Account
    identity: Account | None
    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Plan:
    """What one sidecar must do."""

    outbound: Outbound
    inbound: Inbound


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address behind a destination; `mtls` says that it takes mutual TLS."""

    address: str
    port: int
    mtls: bool = False
