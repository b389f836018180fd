"""The service accounts that a policy selects and that do not exist.

A policy is planned for each of its sources whether it exists or not, so nothing that a sidecar is
sent is made of what is read here: a ServiceAccount that comes or goes changes Problems alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from towpath.model.codes import Code
from towpath.model.egress import Egress
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind
from towpath.model.nearest import nearest
from towpath.model.problem import Problem

DEFAULT = "default"
"""Kubernetes makes it in each namespace, and manifests seldom have it."""
LISTED = 10
"""How many sources of one policy have a Problem, and a hint, of their own."""


def unknown_sources(mesh: Mesh, policy: Egress) -> tuple[Problem, ...]:
    """A Problem for each source of a monitored namespace that names no service account there.

    A cluster has a ServiceAccount in each namespace. A folder of manifests may have none, and then
    it cannot be told which exist.
    """
    unknown = [
        account
        for account in policy.sources
        if mesh.monitored(account.namespace)
        and not mesh.query(exists, account)
        and mesh.query(names_in, account.namespace)
    ]
    problems = [_problem(policy, _text(mesh, account)) for account in unknown[:LISTED]]
    if len(unknown) > LISTED:
        text = f"{len(unknown) - LISTED} more ServiceAccounts do not exist"
        problems.append(_problem(policy, text))
    return tuple(problems)


def exists(mesh: Mesh, account: Account) -> bool:
    """True if there is such a ServiceAccount, or a Pod runs as it."""
    namespace, name = account.namespace, account.name
    return (
        name == DEFAULT
        or mesh.get(Kind.SERVICE_ACCOUNT, namespace, name) is not None
        or bool(mesh.group(Kind.POD, ("account", namespace, name)))
    )


def names_in(mesh: Mesh, namespace: str) -> tuple[str, ...]:
    """The names of a namespace's ServiceAccounts."""
    accounts = mesh.group(Kind.SERVICE_ACCOUNT, ("namespace", namespace))
    return tuple(account.name for account in accounts)


def _text(mesh: Mesh, account: Account) -> str:
    names = mesh.query(names_in, account.namespace)
    near = mesh.work(len(names), _nearest, account.name, names)
    hint = f"; did you mean {near}?" if near else ""
    return f"ServiceAccount {account} does not exist: the Egress selects no sidecar by it{hint}"


def _nearest(name: str, names: Iterable[str]) -> str | None:
    return nearest(name, (*names, DEFAULT))


def _problem(policy: Egress, text: str) -> Problem:
    return Problem(policy.ref, "spec.sources", Code.MISSING_ACCOUNT, text)
