"""What an account may call where policies alone decide: the services before pods that targets name.

It is the servers' sidecars that let in or refuse. Here a service is left out that would refuse
everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from towpath.model.ingress import IngressBackend
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Destination, Destinations, Refused, destination_name
from towpath.planning.config import config
from towpath.planning.destinations import directory, is_of, serving
from towpath.planning.inbound import protocols, selecting, target_port
from towpath.planning.inmesh.grants import callable_accounts, grants_something
from towpath.planning.inmesh.ingress import principals_of

K = TypeVar("K")


def reachable(mesh: Mesh, account: Account) -> Destinations:
    """The destinations with a pod behind them that the account may call there, and the roots of
    splits that lead to one. The others that share with it are there too, but for their addresses.

    Of pods of several accounts behind one only those that grant it something on that port are
    called. A share of a split is never given to another: whom it belongs to refuses.
    """
    granting = _granting(mesh, account)
    # An IngressBackend is about all pods of a service.
    by_ingress = mesh.query(_as_ingress, account)
    whole = mesh.query(directory).reachable
    index = mesh.query(_positions)
    granted = {at for name in granting for at in index.by_name.get(name, ())}
    opened = {at for service in by_ingress for at in index.by_service.get(service, ())}
    direct = granted | opened
    dialled = direct | {at for one in direct for at in index.sharing.get(whole[one].name, ())}
    shared = {
        at for one in dialled for name in _shares(whole[one]) for at in index.by_name.get(name, ())
    }

    def called(one: Destination) -> tuple[Account, ...]:
        """Of the accounts behind it those whose pods are called; none are named if all are."""
        service = one.namespace, one.service
        if service in by_ingress or one.name not in granting:
            return ()
        return _alone(mesh.query(serving, *service), granting[one.name])

    return Destinations(
        _narrowed(mesh, whole[at], called(whole[at]))
        if at in dialled
        else replace(whole[at], addresses=())
        for at in sorted(dialled | shared)
    )


@dataclass(frozen=True, slots=True)
class Positions:
    """Where in the directory each destination stands: by its service, its name, and the names that
    it shares what it is sent with. Accounts are many, and each calls a few.
    """

    by_service: Mapping[tuple[str, str], tuple[int, ...]]
    by_name: Mapping[str, tuple[int, ...]]
    sharing: Mapping[str, tuple[int, ...]]


def _positions(mesh: Mesh) -> Positions:
    by_service: dict[tuple[str, str], list[int]] = defaultdict(list)
    by_name: dict[str, list[int]] = defaultdict(list)
    sharing: dict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(mesh.query(directory).reachable):
        by_service[one.namespace, one.service].append(at)
        by_name[one.name].append(at)
        for name in _shares(one):
            sharing[name].append(at)
    return Positions(_fixed(by_service), _fixed(by_name), _fixed(sharing))


def _fixed(lists: Mapping[K, list[int]]) -> dict[K, tuple[int, ...]]:
    return {key: tuple(positions) for key, positions in lists.items()}


def _granting(mesh: Mesh, account: Account) -> dict[str, set[Account]]:
    """The accounts that grant this one something behind each destination, by name of that."""
    granting: dict[str, set[Account]] = defaultdict(set)
    for destination in mesh.query(callable_accounts, account):
        for port in mesh.query(ports_behind, destination):
            if mesh.query(grants_something, account, destination, port.number, port.protocol):
                granting[port.destination].add(destination)
    return granting


@dataclass(frozen=True, slots=True, order=True)
class PortBehind:
    """A port of an account's pods: its number, what is spoken there, and the name of a destination
    that leads to it.
    """

    destination: str
    number: int
    protocol: Protocol


def ports_behind(mesh: Mesh, account: Account) -> frozenset[PortBehind]:
    """All of them; clients of a headless service dial the port of the pods itself."""
    return frozenset(
        PortBehind(
            destination_name(
                service.namespace, service.name, number if service.headless else port.port
            ),
            number,
            spoken[number],
        )
        for pod in mesh.pods_of(account)
        for spoken in (mesh.query(protocols, pod),)
        for service in selecting(mesh, pod)
        for port in service.ports
        if (number := target_port(port, pod)) in spoken
    )


def _alone(there: frozenset[Account], granting: set[Account]) -> tuple[Account, ...]:
    """Of the accounts of endpoints those that grant something; none if all do, or if none does: a
    refusal by all of them says more than that nobody is there.
    """
    return () if there <= granting else tuple(sorted(there & granting))


def _narrowed(mesh: Mesh, one: Destination, accounts: tuple[Account, ...]) -> Destination:
    """The same with endpoints of these accounts alone; with all, if none are named."""
    if not accounts:
        return one
    addresses = one.addresses
    if one.direct:
        addresses = tuple(a for a in addresses if is_of(mesh, a, accounts))
    return replace(one, addresses=addresses, accounts=accounts)


def _as_ingress(mesh: Mesh, account: Account) -> frozenset[tuple[str, str]]:
    """The services that IngressBackends open to the account, which has a sidecar of its own."""
    if not config(mesh).enable_ingress_backend_policy:
        return frozenset()
    named = [("principal", name) for name in principals_of(mesh, account)]
    by_service = [("source", *service) for service in mesh.query(services_of, account)]
    policies = {
        policy
        for group in (*named, *by_service)
        for policy in cast("tuple[IngressBackend, ...]", mesh.group(Kind.INGRESS_BACKEND, group))
    }
    return frozenset(
        (policy.namespace, backend.service)
        for policy in policies
        if not policy.closed and mesh.monitored(policy.namespace)
        for backend in policy.backends
    )


def refused(mesh: Mesh, account: Account) -> tuple[Refused, ...]:
    """The addresses in the mesh that the account may not call, by port and what is spoken there."""
    mine: dict[int, set[str]] = defaultdict(set)
    for one in mesh.query(reachable, account):
        mine[one.port].update(one.addresses)
    closed = (
        Refused(port, http, _without(addresses, mine[port]))
        for port, http, addresses in mesh.query(_addresses)
    )
    return tuple(one for one in closed if one.addresses)


def _addresses(mesh: Mesh) -> tuple[tuple[int, bool, tuple[str, ...]], ...]:
    """All addresses in the mesh, sorted, by port and whether HTTP is spoken there."""
    by_port: dict[tuple[int, bool], set[str]] = defaultdict(set)
    for one in mesh.query(directory).reachable:
        by_port[one.port, one.protocol is Protocol.HTTP].update(one.addresses)
    return tuple((*key, tuple(sorted(by_port[key]))) for key in sorted(by_port))


def _without(addresses: tuple[str, ...], some: set[str]) -> tuple[str, ...]:
    return tuple(one for one in addresses if one not in some) if some else addresses


def services_of(mesh: Mesh, account: Account) -> frozenset[tuple[str, str]]:
    """The services that lead to an account's pods, by namespace and name."""
    return frozenset(
        (service.namespace, service.name)
        for pod in mesh.pods_of(account)
        for service in selecting(mesh, pod)
    )


def _shares(destination: Destination) -> set[str]:
    return {name for branch in destination.branches for name, _ in branch.shares}
