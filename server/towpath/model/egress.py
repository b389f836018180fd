"""Egress policies as their authors write them, and the objects they refer to."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.limits import RateLimits
from towpath.model.names import Account, Kind, Protocol, Referable, Stamp

ANY_METHOD = "*"

METHODS = (
    ANY_METHOD,
    "GET",
    "HEAD",
    "PUT",
    "POST",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
)

_LABEL = "[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


def is_host(text: str) -> bool:
    """True for a lower-case host name, and for `*.` before one."""
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


def is_numeric(host: str) -> bool:
    """True for a host of numbers alone, such as an address: TLS never names one."""
    return host.replace(".", "").isdecimal()


@dataclass(frozen=True, slots=True, order=True)
class RequestMatch:
    """Which requests: path (without query) and headers fully match RE2 expressions.

    No methods means any method; header names are in lower case.
    """

    path: str = ".*"
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPRouteGroup(Referable):
    """Named sets of requests; what was invalid in it has been left out.

    `names` are those of the matches, in the same order; of a group without them, none.
    """

    namespace: str
    name: str
    matches: tuple[RequestMatch, ...]
    names: tuple[str, ...] = ()
    stamp: Stamp = Stamp()

    kind = Kind.HTTP_ROUTE_GROUP

    def named(self, names: tuple[str, ...] | None) -> tuple[RequestMatch, ...]:
        """The matches of these names; None: all of them."""
        if names is None:
            return self.matches
        pairs = zip(self.names, self.matches, strict=True) if self.names else ()
        return tuple(match for name, match in pairs if name in names)

    def groups(self) -> tuple[Hashable, ...]:
        return ()


@dataclass(frozen=True, slots=True, order=True)
class ConnectionSettings:
    """Limits on connections to one destination; None leaves a limit open.

    `connect_timeout` is in seconds. A connection carries at least one request.
    """

    max_connections: int | None = None
    connect_timeout: float | None = None
    max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_pending_requests: int | None = None
    max_retries: int | None = None


NOTHING = ConnectionSettings(max_connections=0, max_requests=0, max_pending_requests=0)
"""What stands for limits that cannot be read: no connection, and no request."""


@dataclass(frozen=True, slots=True)
class UpstreamTrafficSetting(Referable):
    """Connection settings of a Service of its namespace, and of policies there that refer to it;
    rate limits of the Service.

    `host` is as it is written; `service` is the Service that it is, "" for another host. `created`
    is the creation timestamp as Kubernetes writes it, "" where there is none. A `closed` one has a
    limit that cannot be read: nothing is let through that it would limit.
    """

    namespace: str
    name: str
    created: str
    settings: ConnectionSettings
    closed: bool = False
    service: str = ""
    limits: RateLimits = RateLimits()
    stamp: Stamp = Stamp()
    host: str = ""

    kind = Kind.UPSTREAM_TRAFFIC_SETTING

    def groups(self) -> tuple[Hashable, ...]:
        return (("service", self.namespace, self.service),) if self.service else ()


@dataclass(frozen=True, slots=True)
class Egress(Referable):
    """A policy: which service accounts may reach what outside the mesh.

    `hosts` and `ranges` (CIDRs, canonical) are None where the author gave none: any. An empty
    tuple is what is left when everything given was invalid: it matches nothing. The same goes
    for `route_groups`, the names of HTTPRouteGroups beside the policy; `setting` names an
    UpstreamTrafficSetting there.

    What is `closed` allows nothing, as its author meant something that cannot be read; its hosts
    stay named, so that passthrough does not open them. `closed_sources` and `closed_ports` are
    those of which only that part was wrong, and are not among `sources` and `ports`.
    """

    namespace: str
    name: str
    sources: tuple[Account, ...]
    ports: tuple[tuple[int, Protocol], ...]
    hosts: tuple[str, ...] | None = None
    ranges: tuple[str, ...] | None = None
    route_groups: tuple[str, ...] | None = None
    setting: str | None = None
    closed: bool = False
    closed_sources: tuple[Account, ...] = ()
    closed_ports: tuple[tuple[int, Protocol], ...] = ()
    stamp: Stamp = Stamp()

    kind = Kind.EGRESS

    def groups(self) -> tuple[Hashable, ...]:
        refers = (("setting", self.namespace, self.setting),) if self.setting else ()
        groups = (("group", self.namespace, name) for name in self.route_groups or ())
        named = (*self.sources, *self.closed_sources)
        return (*(("source", s.namespace, s.name) for s in named), *refers, *groups)
