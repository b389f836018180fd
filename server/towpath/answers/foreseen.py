"""Foreseen: whom pods would refuse without permissive mode, by plan: nobody says who calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from towpath.answers.answering import has_sidecar
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.workloads import Pod
from towpath.planning.egress.observation import reports
from towpath.planning.inbound import protocols
from towpath.planning.inmesh.grants import counts_refusals, granted_requests, targets_of

NAMED = 10
"""How many of the callers are named; there may be thousands."""


@dataclass(frozen=True, slots=True)
class ForeseenRefusals:
    """A port of an account's pods, how many other accounts of the mesh some TrafficTarget grants
    something there, how many it would refuse, and the first of these by name.
    """

    account: Account
    port: int
    protocol: Protocol
    granted: int
    refused: int
    callers: tuple[Account, ...]


def foreseen(mesh: Mesh, most: int) -> tuple[ForeseenRefusals, ...]:
    """In permissive mode, where sidecars count refusals: the ports of which nobody reports what
    would be refused, those that let in the fewest first, no more than *most* of them.

    Nobody reports of ports that do not speak HTTP, nor in namespaces whose sidecars do not report.
    """
    if not mesh.query(counts_refusals):
        return ()
    callers = mesh.query(_accounts)
    ports = (one for callee in callers for one in mesh.query(_unreported, callee))
    refusals = (one for one in ports if one.refused)
    by_need = sorted(refusals, key=lambda one: (one.granted, one.account, one.port))
    return tuple(by_need[:most])


def _accounts(mesh: Mesh) -> tuple[Account, ...]:
    """The accounts that pods of the mesh run as."""
    pods = cast("tuple[Pod, ...]", mesh.group(Kind.POD, "all"))
    return tuple(sorted({pod.account for pod in pods if mesh.monitored(pod.namespace)}))


def _unreported(mesh: Mesh, callee: Account) -> tuple[ForeseenRefusals, ...]:
    spoken: dict[int, set[Protocol]] = defaultdict(set)
    for pod in filter(has_sidecar, mesh.pods_of(callee)):
        for number, protocol in mesh.query(protocols, pod).items():
            spoken[number].add(protocol)
    silent = not mesh.query(reports, callee.namespace)
    return tuple(
        _of_port(mesh, callee, number, protocol)
        for number, of_port in sorted(spoken.items())
        for protocol in sorted(of_port)
        if silent or protocol is not Protocol.HTTP
    )


def _of_port(mesh: Mesh, callee: Account, number: int, protocol: Protocol) -> ForeseenRefusals:
    accounts = mesh.query(_accounts)
    named = {
        source
        for target in mesh.query(targets_of, callee)
        if mesh.query(granted_requests, target, number, protocol) is not None
        for source in target.sources
        if mesh.monitored(source.namespace)
    }
    others = frozenset(accounts) - {callee}
    return ForeseenRefusals(
        account=callee,
        port=number,
        protocol=protocol,
        granted=len(named & others),
        refused=len(others - named),
        callers=tuple(islice(_except(accounts, {*named, callee}), NAMED)),
    )


def _except(accounts: tuple[Account, ...], without: set[Account]) -> Iterator[Account]:
    return (one for one in accounts if one not in without)
