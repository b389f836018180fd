"""Whether a connection inside the mesh is encrypted, and whether it comes in if it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from towpath.answers.answering import (
    Answering,
    all_behind,
    all_places,
    let_in_beside,
    places,
    pods_behind,
)
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.model.plan import Destination, Destinations
from towpath.planning import inbound
from towpath.planning.destinations import directory
from towpath.planning.egress.decide import Attempt
from towpath.planning.identity import MARK, has_authority, identity_of

_MARK = f"{MARK[0]}: {MARK[1]}"


@dataclass(frozen=True, slots=True)
class Passage:
    """What becomes of a connection between two sidecars: `reason` says whether it is encrypted;
    `refused` is true if it is not, and whoever answers takes nothing else.
    """

    reason: str
    refused: bool = False


def passage(mesh: Mesh, account: Account, attempt: Attempt, destination: Destination) -> Passage:
    """By which way the pods of an account reach those behind a destination."""
    callers = [identity_of(mesh, pod) is not None for pod in mesh.pods_of(account)]
    called = list(_called(mesh, account, attempt, destination))
    if not mesh.query(has_authority):
        return Passage("it is not encrypted: the mesh has no authority")
    if not called:
        return Passage("no pod is there yet, so that nothing is said of encryption")
    takes = [takes_mtls for takes_mtls, _ in called]
    if all(callers) and callers and all(takes):
        return Passage("it is encrypted by mutual TLS, from sidecar to sidecar")
    nobody = not any(callers)
    if _refuse(called, nobody=nobody):
        text = f"the called pods let in mutual TLS alone, and no pod of {account} is marked {_MARK}"
        return Passage(text, refused=True)
    if nobody:
        return Passage(f"it is not encrypted: no pod of {account} is marked {_MARK}")
    if not any(takes):
        text = f"none of the called pods is marked {_MARK}, or calls by mutual TLS are disabled"
        return Passage(f"it is not encrypted: {text}")
    return Passage(
        f"it is encrypted between some pods alone: {callers.count(True)} of {len(callers)} of "
        f"{account} call by mutual TLS, and {takes.count(True)} of {len(takes)} that answer take it"
    )


def refused_among(mesh: Mesh, account: Account, reachable: Destinations) -> frozenset[str]:
    """The destinations where whoever may answer takes nothing but mutual TLS, by which the account
    does not call there; by name.
    """
    nobody = not any(identity_of(mesh, pod) is not None for pod in mesh.pods_of(account))
    strict = mesh.query(_strict_behind, nobody)
    return frozenset(
        one.name
        for one in reachable
        if one.name in strict
        and _refuse(_of(mesh, account, pods_behind(mesh, account, all_places(one))), nobody=nobody)
    )


def _strict_behind(mesh: Mesh, nobody: bool) -> frozenset[str]:  # noqa: FBT001 (a question's argument)
    """The destinations with a pod that takes nothing else, and may be called in plaintext by
    accounts of which nobody calls by mutual TLS, or somebody.
    """
    return frozenset(
        one.name
        for one in mesh.query(directory).reachable
        if any(
            _is_strict(mesh, at) and (nobody or not at.server_name) for at in all_behind(mesh, one)
        )
    )


def _refuse(called: Iterable[tuple[bool, bool]], *, nobody: bool) -> bool:
    return all(strict and (nobody or not takes_mtls) for takes_mtls, strict in called)


def _called(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Iterator[tuple[bool, bool]]:
    to = places(attempt, destination)[1]
    dialled = attempt if destination.direct else None
    return _of(mesh, account, pods_behind(mesh, account, to, dialled))


def _of(
    mesh: Mesh, account: Account, answering: Iterable[Answering]
) -> Iterator[tuple[bool, bool]]:
    """Of each pod that may answer: whether it is called by mutual TLS where that is known, and
    whether nothing else is let in of this account.
    """
    for one in answering:
        plain = replace(one, server_name="")
        strict = _is_strict(mesh, one) and not let_in_beside(mesh, account, plain)
        yield bool(one.server_name), strict


def _is_strict(mesh: Mesh, at: Answering) -> bool:
    server = mesh.query(inbound, at.pod).mtls
    return server is not None and server.strict
