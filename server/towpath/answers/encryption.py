"""Whether a connection inside the mesh is encrypted, and whether it comes in if it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from towpath.answers.answering import let_in_beside, places, pods_behind
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.model.plan import Destination
from towpath.planning import inbound
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
    refused = all(strict and (nobody or not takes_mtls) for takes_mtls, strict in called)
    if refused:
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


def _called(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Iterator[tuple[bool, bool]]:
    """Of each pod that may answer: whether it is called by mutual TLS where that is known, and
    whether nothing else is let in of this account.
    """
    to = places(attempt, destination)[1]
    for one in pods_behind(mesh, account, to, attempt if destination.direct else None):
        server = mesh.query(inbound, one.pod).mtls
        strict = server is not None and server.strict
        plain = replace(one, server_name="")
        yield bool(one.server_name), strict and not let_in_beside(mesh, account, plain)
