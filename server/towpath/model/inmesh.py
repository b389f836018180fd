"""In-mesh policies as their authors write them: SMI's TrafficTarget, TCPRoute and TrafficSplit."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.names import Account, Kind, Referable, Stamp


@dataclass(frozen=True, slots=True, order=True)
class RouteReference:
    """A rule of a TrafficTarget: a route object beside it, and of an HTTPRouteGroup the names of
    the matches that are meant (None: all of them).
    """

    kind: Kind
    name: str
    matches: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TrafficTarget(Referable):
    """Which service accounts may call the pods of one, with which requests, on which ports.

    One that is `closed` allows nothing: its author meant something that cannot be read.
    """

    namespace: str
    name: str
    destination: Account | None
    sources: tuple[Account, ...]
    rules: tuple[RouteReference, ...]
    closed: bool = False
    stamp: Stamp = Stamp()

    kind = Kind.TRAFFIC_TARGET

    def groups(self) -> tuple[Hashable, ...]:
        to = self.destination
        return (
            *((("destination", to.namespace, to.name),) if to else ()),
            *(("source", account.namespace, account.name) for account in self.sources),
            *{("rule", rule.kind, self.namespace, rule.name) for rule in self.rules},
        )


@dataclass(frozen=True, slots=True)
class TCPRoute(Referable):
    """Ports of pods; None where its author gave none: all of them. An empty tuple is what is left
    when every port was invalid.
    """

    namespace: str
    name: str
    ports: tuple[int, ...] | None
    stamp: Stamp = Stamp()

    kind = Kind.TCP_ROUTE

    def groups(self) -> tuple[Hashable, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class TrafficSplit(Referable):
    """Which Services of its namespace share what is sent to one of them, the *root*.

    `backends` are names and weights, each name once, in the order in which they were given.
    `route_groups` are the HTTPRouteGroups beside it whose requests it is for (None: all requests).
    One that is `closed`, or has no root, divides nothing. `created` is the creation timestamp as
    Kubernetes writes it, "" where there is none.
    """

    namespace: str
    name: str
    created: str
    root: str
    backends: tuple[tuple[str, int], ...]
    route_groups: tuple[str, ...] | None = None
    closed: bool = False
    stamp: Stamp = Stamp()

    kind = Kind.TRAFFIC_SPLIT

    def groups(self) -> tuple[Hashable, ...]:
        return (
            ("namespace", self.namespace),
            ("root", self.namespace, self.root),
            *(("group", self.namespace, name) for name in self.route_groups or ()),
        )
