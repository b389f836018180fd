"""What becomes of a request inside the mesh: whom the sidecars of the called pods let in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import Destination, InboundPort, Permit, destination_of
from towpath.model.workloads import Pod
from towpath.planning import inbound
from towpath.planning.destinations import endpoints
from towpath.planning.egress.decide import Attempt, Decision, matches
from towpath.planning.inbound import lets_in
from towpath.planning.inmesh.grants import addresses_of, by_policies


def at_servers(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Decision | None:
    """Denied if no pod behind the destination lets the attempt in; None where all are open to it.

    Raises ValueError if some do and others do not, or if that hangs on what is asked for.
    """
    where = f"{attempt.address}:{attempt.port} is {_service(destination)}, an in-mesh destination"
    split, to = places(attempt, destination)
    if not to:
        return Decision(None, (), (where, f"TrafficSplit {split} leaves none of its backends"))
    if lets_in(mesh):
        return None
    if not by_policies(mesh):
        text = "external authorization of what comes in is not supported, so nothing is let in"
        return Decision(None, (), (where, text))
    answers = {
        pod.account: _granted(mesh, account, attempt, port)
        for pod, port in _called(mesh, attempt, to, direct=destination.direct)
    }
    open_, closed = (
        sorted(str(one) for one, targets in answers.items() if bool(targets) is granted)
        for granted in (True, False)
    )
    if open_ and closed:
        raise ValueError(
            f"{_service(destination)} depends on the pod that answers: those of "
            f"{', '.join(open_)} let it in, those of {', '.join(closed)} do not"
        )
    if closed:
        text = f"no TrafficTarget lets {account} call pods of {', '.join(closed)} with this"
        return Decision(None, (), (where, text))
    targets = sorted({target for granted in answers.values() for target in granted})
    if not targets:
        return None  # no pod is there
    text = f"the called pods let it in by TrafficTarget {', '.join(targets)}"
    return Decision(destination.name, (), (where, text))


def in_mesh_but_refused(mesh: Mesh, account: Account, attempt: Attempt) -> str:
    """Why an address in the mesh is none of the account's destinations."""
    return (
        f"{attempt.address}:{attempt.port} is in the mesh, and no TrafficTarget lets {account} "
        "call the pods behind it"
        if by_policies(mesh)
        else f"{attempt.address}:{attempt.port} is in the mesh, where nothing is let in"
    )


def places(attempt: Attempt, destination: Destination) -> tuple[str, tuple[str, ...]]:
    """The destinations that may get the attempt, and the split that says so ("" for none)."""
    for branch in destination.branches:
        if not branch.matches or any(matches(match, attempt) for match in branch.matches):
            return branch.policy, tuple(name for name, _ in branch.shares)
    return "", (destination.name,)


def _called(
    mesh: Mesh, attempt: Attempt, to: tuple[str, ...], *, direct: bool
) -> Iterator[tuple[Pod, InboundPort | None]]:
    """The pods that may answer, each with the port at which it would."""
    for place in to:
        of = destination_of(place)
        for endpoint in mesh.query(endpoints, *of) if of else ():
            if direct and endpoint.address != attempt.address:
                continue
            for pod in mesh.pods_at(endpoint.address):
                ports = {port.port: port for port in mesh.query(inbound, pod).ports}
                yield pod, ports.get(endpoint.port)


def _granted(
    mesh: Mesh, account: Account, attempt: Attempt, port: InboundPort | None
) -> tuple[str, ...]:
    """The TrafficTargets that let the attempt in at a port."""
    permits = port.permits or () if port else ()
    grants = [permit for permit in permits if means(mesh, permit, account)]
    if port is None or port.protocol is not Protocol.HTTP:
        return tuple(permit.policy for permit in grants)
    if grants and attempt.protocol is not Protocol.HTTP:
        raise ValueError(
            f"{attempt.address}:{attempt.port} depends on the request: say it as http://HOST/PATH"
        )
    return tuple(
        permit.policy
        for permit in grants
        if any(matches(match, attempt) for match in permit.requests)
    )


def means(mesh: Mesh, permit: Permit, account: Account) -> bool:
    """True if the permit is for that account, and its pods can be told by what they show."""
    namespace, _, name = permit.policy.partition("/")
    target = cast("TrafficTarget | None", mesh.get(Kind.TRAFFIC_TARGET, namespace, name))
    if target is None or account not in target.sources:
        return False
    addresses = mesh.query(addresses_of, account)
    return not addresses or not permit.addresses or bool({*addresses} & {*permit.addresses})


def _service(destination: Destination) -> str:
    return f"Service {destination.namespace}/{destination.service}"
