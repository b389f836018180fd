"""Suggest: the smallest TrafficTargets that would let a refused request in, as YAML to apply."""

from __future__ import annotations

from towpath.answers.answering import (
    Called,
    called,
    leads_to,
    places,
    pods_behind,
    recognised,
)
from towpath.answers.encryption import passage
from towpath.answers.suggest import name_for, route_group, text
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, destination_of
from towpath.planning.egress.decide import Attempt, malformed
from towpath.planning.inmesh.grants import by_policies
from towpath.planning.inmesh.reachable import services_of

_TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata:
  name: {name}
  namespace: {namespace}
spec:
  destination:
    kind: ServiceAccount
    name: {destination}
    namespace: {namespace}
  sources:
  - kind: ServiceAccount
    name: {source}
    namespace: {source_namespace}
  rules:
"""

_ROUTE = """\
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata:
  name: {name}
  namespace: {namespace}
spec:
  matches:
    ports:"""


def suggestion_inside(mesh: Mesh, account: Account, attempt: Attempt) -> str:
    """YAML of a TrafficTarget for each account whose pods refuse the attempt, with an
    HTTPRouteGroup for the request, or a TCPRoute for the port; "" if none could allow it.
    """
    destination = leads_to(mesh, attempt)
    if destination is None or not by_policies(mesh) or not mesh.monitored(account.namespace):
        return ""
    _, to = places(attempt, destination)
    answering = pods_behind(mesh, account, to, attempt if destination.direct else None)
    if passage(mesh, account, attempt, destination).refused:
        return ""
    if not recognised(mesh, account, answering):
        return ""
    try:
        answers = called(mesh, account, attempt, destination)
    except ValueError:
        return ""  # a connection of which no request is known
    # Where no pod refuses it, what refuses is the client's own sidecar.
    closed = [one for one in answers if not one.lets_in] or [one for one in answers if one.open]
    if not all(one.open and _can_ask(attempt, one.protocol) for one in closed):
        return ""
    if not _leads(mesh, destination, answers):
        return ""
    documents = [
        _documents(account, attempt, callee, [one for one in closed if one.account == callee])
        for callee in sorted({one.account for one in closed})
    ]
    return "\n---\n".join(documents) + "\n" if documents else ""


def _can_ask(attempt: Attempt, protocol: Protocol) -> bool:
    """True if the attempt is one of those that such a port can grant."""
    return protocol is not Protocol.HTTP or (
        attempt.protocol is Protocol.HTTP and not malformed(attempt)
    )


def _leads(mesh: Mesh, destination: Destination, answers: tuple[Called, ...]) -> bool:
    """True if a client that may call all of them knows the destination."""
    names = {destination.name, *(n for one in destination.branches for n, _ in one.shares)}
    services = {of[:2] for name in names if (of := destination_of(name)) is not None}
    return any(services & mesh.query(services_of, one.account) for one in answers)


def _documents(
    account: Account, attempt: Attempt, destination: Account, ports: list[Called]
) -> str:
    name = name_for(account, attempt, destination.name)
    lines = [
        _TARGET.format(
            name=name,
            namespace=text(destination.namespace),
            destination=text(destination.name),
            source=text(account.name),
            source_namespace=text(account.namespace),
        ).rstrip()
    ]
    # An HTTPRouteGroup alone is for every port that speaks HTTP.
    requests = any(one.protocol is Protocol.HTTP for one in ports)
    numbers = sorted({one.port for one in ports if one.protocol is not Protocol.HTTP})
    if requests:
        lines += ["  - kind: HTTPRouteGroup", f"    name: {name}"]
    if numbers:
        numbers = sorted({one.port for one in ports})
        lines += ["  - kind: TCPRoute", f"    name: {name}"]
    if requests:
        lines.append(route_group(name, destination.namespace, attempt))
    if numbers:
        lines.append(_ROUTE.format(name=name, namespace=text(destination.namespace)))
        lines += [f"    - {number}" for number in numbers]
    return "\n".join(lines)
