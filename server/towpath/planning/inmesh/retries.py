"""Retries: which requests of an account are sent again, by the service that it called.

Where a split divides what is sent to a service, it is the service that was dialled that counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from towpath.model.codes import Code
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Destinations, Retries
from towpath.model.problem import Problem
from towpath.model.retries import Retry
from towpath.planning.config import config


def retries(mesh: Mesh, account: Account, reachable: Destinations) -> Retries:
    """How requests of an account for its destinations are sent again, by name of these."""
    by_service = mesh.query(holding, account)
    if not by_service:
        return ()
    policies = {service: retry.policy for service, retry in by_service.items()}
    return tuple(
        (one.name, policy)
        for one in reachable
        if one.protocol is Protocol.HTTP
        and (policy := policies.get((one.namespace, one.service))) is not None
    )


def holding(mesh: Mesh, account: Account) -> dict[tuple[str, str], Retry]:
    """The Retry that holds for each service which the account calls: the oldest."""
    if not config(mesh).enable_retry_policy or not mesh.monitored(account.namespace):
        return {}
    by_service: dict[tuple[str, str], Retry] = {}
    for retry in sorted(_retries_of(mesh, account), key=lambda one: (one.created, one.name)):
        for service in retry.destinations if retry.policy is not None else ():
            by_service.setdefault(service, retry)
    return by_service


def retry_problems(mesh: Mesh) -> Iterator[Problem]:
    """What keeps Retries from having effect."""
    for retry in cast("tuple[Retry, ...]", mesh.group(Kind.RETRY, "all")):
        yield from mesh.query(_of_retry, retry)


def _retries_of(mesh: Mesh, account: Account) -> tuple[Retry, ...]:
    group = mesh.group(Kind.RETRY, ("source", account.namespace, account.name))
    return cast("tuple[Retry, ...]", group)


def _of_retry(mesh: Mesh, retry: Retry) -> tuple[Problem, ...]:
    label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
    if not mesh.monitored(retry.namespace):
        text = f"its namespace lacks the label {label}: the Retry has no effect"
        return (Problem(retry.ref, "metadata.namespace", Code.POLICY_OUTSIDE_MESH, text),)
    if not config(mesh).enable_retry_policy:
        text = "spec.featureFlags.enableRetryPolicy of the MeshConfig is off: nothing is sent again"
        return (Problem(retry.ref, "", Code.RETRY_OFF, text),)
    if retry.source is None or retry.policy is None:
        return ()
    holds = mesh.query(holding, retry.source)
    return tuple(
        problem
        for service in retry.destinations
        for problem in _of_destination(mesh, retry, service, holds[service])
    )


def _of_destination(
    mesh: Mesh, retry: Retry, service: tuple[str, str], holder: Retry
) -> Iterator[Problem]:
    namespace, name = service
    record = mesh.service(namespace, name) if mesh.monitored(namespace) else None
    if record is None:
        text = f"Service {namespace}/{name} does not exist in the mesh: it is left out"
        yield Problem(retry.ref, "spec.destinations", Code.MISSING_DESTINATION, text)
    elif not any(port.protocol is Protocol.HTTP for port in record.ports):
        text = f"no port of Service {record.label} speaks HTTP: no request is seen"
        yield Problem(retry.ref, "spec.destinations", Code.RETRY_WITHOUT_REQUESTS, text)
    if holder != retry:
        text = f"Retry {holder.label}, which is older, holds for Service {namespace}/{name}"
        yield Problem(retry.ref, "spec.destinations", Code.CONFLICTING_RETRY, text)
