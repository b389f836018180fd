"""What a change of the mesh opens and closes, for each service account, and which objects do it.

It is worked out on whole plans, and not by samples. Of two expressions only the texts are compared:
requests that one of them matches count as allowed by another expression only if that is proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from towpath.answers.access import ANYTHING, NONE, Access, Means, Place, places, wider
from towpath.answers.access_from_outside import Entrances
from towpath.answers.access_inside import CallablePort, inside
from towpath.model.egress import Egress, HTTPRouteGroup, RequestMatch, UpstreamTrafficSetting
from towpath.model.ingress import IngressBackend
from towpath.model.inmesh import TCPRoute, TrafficTarget
from towpath.model.mesh import Mesh, ObjectKey
from towpath.model.meshconfig import MESH_CONFIG_NAME, MeshConfig
from towpath.model.names import Account, Kind, ObjectRef, Protocol, Stamp
from towpath.model.plan import Destinations, Outbound
from towpath.model.workloads import Pod
from towpath.planning import outbound


class Direction(StrEnum):
    """Which way access changes."""

    GAINS = "gains"
    LOSES = "loses"


@dataclass(frozen=True, slots=True, order=True)
class AccessTarget:
    """Where access changes, "" and 0 standing for any other.

    Outside the mesh it is a place as in `answers.access`; without a `port` it is all that no policy
    speaks of. Inside it is a port of a `service` (`<namespace>/<name>`).
    """

    service: str = ""
    host: str = ""
    port: int = 0
    protocol: str = ""
    block: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """Requests of one target that some service accounts gain or lose.

    To the requests in `but` that does not apply. `because` are the objects that differ. With
    `caller` it is not service accounts, but that caller from outside the mesh, at a port of pods.
    """

    target: AccessTarget
    direction: Direction
    request: RequestMatch
    but: tuple[RequestMatch, ...] = ()
    because: tuple[str, ...] = ()
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes, each with the service accounts that it is for, of so many `accounts`; with none
    where it is for a caller from outside.
    """

    by_change: Mapping[Change, tuple[Account, ...]]
    accounts: int

    @property
    def unchanged(self) -> int:
        """For how many accounts nothing changes."""
        return self.accounts - len({a for accounts in self.by_change.values() for a in accounts})


@dataclass(frozen=True, slots=True)
class Difference:
    """A change, and the policies that speak of its target on either side."""

    change: Change
    policies: tuple[str, ...] = ()


def accounts_of(mesh: Mesh) -> frozenset[Account]:
    """The service accounts of the mesh: those that are there, that pods run as, or that policies
    name as sources.
    """
    pods = cast("tuple[Pod, ...]", mesh.group(Kind.POD, "all"))
    policies = (*mesh.group(Kind.EGRESS, "all"), *mesh.group(Kind.TRAFFIC_TARGET, "all"))
    there = mesh.group(Kind.SERVICE_ACCOUNT, "all")
    named = {
        *(one for policy in policies for one in cast("Egress | TrafficTarget", policy).sources),
        *(Account(one.namespace, one.name) for one in there),
        *(pod.account for pod in pods),
    }
    return frozenset(one for one in named if mesh.monitored(one.namespace))


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """All that one account may reach; equal for accounts that may reach the same."""

    outside: Outbound
    inside: tuple[CallablePort, ...]


def account_access(mesh: Mesh, account: Account) -> AccountAccess:
    """What the account may reach in that mesh, and out of it."""
    plan = mesh.query(outbound, account)
    outside = Outbound(Destinations(), plan.passthrough, plan.egress)
    return AccountAccess(outside, mesh.query(inside, account))


class Comparison:
    """Compares two meshes, account by account; what many accounts share is compared once."""

    def __init__(self, old: Mesh, new: Mesh) -> None:
        self._old, self._new = old, new
        self._differences: dict[tuple[AccountAccess, AccountAccess], tuple[Difference, ...]] = {}
        self._by_change: dict[Change, list[Account]] = defaultdict(list)
        self.accounts = sorted({*accounts_of(old), *accounts_of(new)})

    def add(self, account: Account, before: AccountAccess, after: AccountAccess) -> None:
        """Compare what that account may reach in the two meshes."""
        key = before, after
        if key not in self._differences:
            outside = changed_outside(before.outside, after.outside)
            self._differences[key] = (*outside, *_inside(before.inside, after.inside))
        for one in self._differences[key]:
            because = tuple(str(ref) for ref in sorted(self._reasons(one, account)))
            self._by_change[replace(one.change, because=because)].append(account)

    def add_outsiders(self, before: Entrances, after: Entrances) -> None:
        """Compare whom the two meshes let in from outside, at the same places."""
        for place in sorted(before.keys() | after.keys()):
            namespace, service, port = place
            target = AccessTarget(f"{namespace}/{service}", port=port, protocol=Protocol.HTTP.value)
            old, new = before.get(place, {}), after.get(place, {})
            by = sorted({name for side in (old, new) for names in side.values() for name in names})
            for direction, less, more in ((Direction.GAINS, old, new), (Direction.LOSES, new, old)):
                for one in more:
                    if any(other.covers(one) for other in less):
                        continue
                    change = Change(target, direction, ANYTHING, caller=str(one))
                    reasons = self._reasons(Difference(change, tuple(by)), Account(namespace, ""))
                    because = tuple(map(str, sorted(reasons)))
                    self._by_change[replace(change, because=because)] = []

    def changes(self) -> Changes:
        """What differs for the accounts that were added, and for callers from outside."""
        by_change = {change: tuple(self._by_change[change]) for change in sorted(self._by_change)}
        return Changes(by_change, len(self.accounts))

    def _reasons(self, difference: Difference, account: Account) -> set[ObjectRef]:
        """The objects that differ and may be why, the nearest first to the target."""
        keys = {key for label in difference.policies for key in self._spoken_by(label)}
        service = difference.change.target.service
        if service:
            namespace, _, name = service.partition("/")
            keys |= {(Kind.SERVICE, namespace, name), *self._limiting(namespace, name)}
        return self._differing(keys) or self._differing(
            [
                (Kind.MESH_CONFIG, self._new.osm_namespace, MESH_CONFIG_NAME),
                (Kind.NAMESPACE, "", account.namespace),
                (Kind.NAMESPACE, "", service.partition("/")[0]),
            ]
        )

    def _limiting(self, namespace: str, service: str) -> Iterator[ObjectKey]:
        """The settings of a service on either side, which close it if they cannot be read."""
        for mesh in (self._old, self._new):
            group = ("service", namespace, service)
            for one in mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, group):
                yield Kind.UPSTREAM_TRAFFIC_SETTING, one.namespace, one.name

    def _spoken_by(self, label: str) -> Iterator[ObjectKey]:
        """A policy of that label, and the objects that it refers to on either side."""
        namespace, _, name = label.partition("/")
        for mesh in (self._old, self._new):
            egress = cast("Egress | None", mesh.get(Kind.EGRESS, namespace, name))
            if egress:
                groups = (
                    (Kind.HTTP_ROUTE_GROUP, namespace, one) for one in egress.route_groups or ()
                )
                yield from ((Kind.EGRESS, namespace, name), *groups)
                if egress.setting:
                    yield Kind.UPSTREAM_TRAFFIC_SETTING, namespace, egress.setting
            yield Kind.INGRESS_BACKEND, namespace, name
            target = cast("TrafficTarget | None", mesh.get(Kind.TRAFFIC_TARGET, namespace, name))
            if target:
                yield Kind.TRAFFIC_TARGET, namespace, name
                yield from ((rule.kind, namespace, rule.name) for rule in target.rules)

    def _differing(self, keys: Iterable[ObjectKey]) -> set[ObjectRef]:
        old, new = self._old, self._new
        return {
            ObjectRef(*key) for key in keys if _content(old.get(*key)) != _content(new.get(*key))
        }


def _content(one: object) -> object:
    """An object without what an API server noted on it."""
    match one:
        case Egress() | HTTPRouteGroup() | UpstreamTrafficSetting():
            return replace(one, stamp=Stamp())
        case TrafficTarget() | TCPRoute() | IngressBackend() | MeshConfig():
            return replace(one, stamp=Stamp())
        case _:
            return one


def changed_outside(before: Outbound, after: Outbound) -> Iterator[Difference]:
    """What differs between two plans outside the mesh, the widest places first."""
    switched = before.passthrough != after.passthrough
    if switched:
        direction = Direction.GAINS if after.passthrough else Direction.LOSES
        yield Difference(Change(AccessTarget(), direction, ANYTHING))
    earlier = _Earlier()
    for place, old, new in places(before, after):
        policies = tuple(sorted({*old.policies, *new.policies}))
        for direction, less, more in ((Direction.GAINS, old, new), (Direction.LOSES, new, old)):
            # What passes with the switch is said once for all such places.
            if not (switched and more.means is Means.PASSTHROUGH):
                changes = earlier.new_of(place, direction, less, more)
                yield from (Difference(change, policies) for change in changes)


class _Earlier:
    """What has been said of other places already, and so of the places within them."""

    def __init__(self) -> None:
        self._changes: set[Change] = set()
        self._any_bytes: set[tuple[int, str | None, Direction]] = set()

    def new_of(
        self, place: Place, direction: Direction, less: Access, more: Access
    ) -> Iterator[Change]:
        """What is gained or lost at a place, as far as nothing before says so."""
        where, any_bytes = (place.port, place.block, direction), place.protocol is Protocol.TCP
        if where in self._any_bytes and more.means is Means.BYTES:
            return  # HTTP and TLS are bytes too
        for change in _between(_target(place), direction, less, more):
            if any_bytes:
                self._any_bytes.add(where)
            around = ("", *wider(change.target.block)) if change.target.block else ("",)
            targets = (replace(change.target, block=block) for block in around)
            if not any(replace(change, target=target) in self._changes for target in targets):
                self._changes.add(change)
                yield change


def _target(place: Place) -> AccessTarget:
    return AccessTarget(
        host=place.host or "",
        port=place.port,
        protocol=place.protocol.value,
        block=place.block or "",
    )


def _inside(before: Iterable[CallablePort], after: Iterable[CallablePort]) -> Iterator[Difference]:
    old = {(one.service, one.port, one.protocol): one.access for one in before}
    new = {(one.service, one.port, one.protocol): one.access for one in after}
    if old == new:
        return
    for key in sorted(old.keys() | new.keys()):
        service, port, protocol = key
        target = AccessTarget(service=service, port=port, protocol=protocol.value)
        was, now = old.get(key, NONE), new.get(key, NONE)
        for direction, less, more in ((Direction.GAINS, was, now), (Direction.LOSES, now, was)):
            for change in _between(target, direction, less, more):
                yield Difference(change, tuple(sorted({*was.policies, *now.policies})))


def _between(
    target: AccessTarget, direction: Direction, less: Access, more: Access
) -> Iterator[Change]:
    """The requests that *more* allows and *less* does not."""
    there = [one for match, _ in less.requests for one in _by_method(match)]
    for match, _ in more.requests:
        left = [one for one in _by_method(match) if not any(_covers(other, one) for other in there)]
        if not left:
            continue
        methods = tuple(method for one in left for method in one.methods)
        request = replace(match, methods=methods)
        but = tuple(other for other, _ in less.requests if _covers(request, other))
        yield Change(target, direction, request, but)


def _by_method(match: RequestMatch) -> tuple[RequestMatch, ...]:
    return tuple(replace(match, methods=(method,)) for method in match.methods) or (match,)


def _covers(wide: RequestMatch, narrow: RequestMatch) -> bool:
    """True if every request that *narrow* matches is surely matched by *wide*."""
    return (
        wide.path in (ANYTHING.path, narrow.path)
        and (not wide.methods or (bool(narrow.methods) and {*narrow.methods} <= {*wide.methods}))
        and {*wide.headers} <= {*narrow.headers}
    )
