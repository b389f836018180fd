"""What becomes of a request inside the mesh: whom the sidecars of the called pods let in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from towpath.answers.answering import (
    Answering,
    Called,
    branch_for,
    called,
    called_at,
    certified,
    leads_to,
    let_in_beside,
    means,
    places,
    pods_behind,
    recognised,
    targets_granting,
    told_apart,
)
from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, Ingress, destination_of
from towpath.planning.egress.decide import Attempt, Decision, words
from towpath.planning.inbound import lets_in
from towpath.planning.inmesh.grants import (
    by_policies,
    counts_refusals,
    granted_requests,
    targets_of,
)

_SHOWN = 5


def at_servers(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Decision | None:
    """Denied if a pod behind the destination refuses the attempt; None where all are open to it.

    Raises ValueError if that hangs on what is asked for.
    """
    where = f"{attempt.address}:{attempt.port} is {_service(destination)}, an in-mesh destination"
    split, to = places(attempt, destination)
    if not to:
        return Decision(None, (), (where, f"TrafficSplit {split} leaves none of its backends"))
    if shut := _shut(mesh, account, attempt, destination):
        return Decision(None, (), (where, shut))
    if lets_in(mesh):
        return None
    answers = called(mesh, account, attempt, destination)
    if not by_policies(mesh):
        if answers and not any(one.guarded for one in answers):
            return None
        text = "external authorization of what comes in is not supported, so nothing is let in"
        return Decision(None, (), (where, text))
    closed = sorted({str(one.account) for one in answers if not one.lets_in})
    if not answers:
        return None  # no pod is there
    reasons = [where]
    if by := _granting(answers):
        open_ = ", ".join(
            sorted({str(one.account) for one in answers if one.targets or one.backends})
        )
        mixed = closed or not all(one.guarded for one in answers)
        pods = f"the pods of {open_}" if mixed else "the called pods"
        reasons.append(f"{pods} let it in by {by}")
    if not closed:
        return Decision(destination.name, (), tuple(reasons))
    reasons += _beside(mesh, account, attempt, destination)
    reasons.append(f"no TrafficTarget lets {account} call pods of {', '.join(closed)} with this")
    reasons += _nobody(mesh, account, attempt, destination)
    reasons += _nearly(mesh, account, answers)
    return Decision(None, (), tuple(reasons))


def _shut(mesh: Mesh, account: Account, attempt: Attempt, destination: Destination) -> str:
    """Which ports are closed to everybody, of pods that may answer; "" if none is."""
    _, to = places(attempt, destination)
    answering = pods_behind(mesh, account, to, attempt if destination.direct else None)
    ports = sorted({(one.number, str(one.pod.account)) for one in answering if one.shut})
    if not ports:
        return ""
    named = ", ".join(f"{number} of the pods of {whose}" for number, whose in ports[:_SHOWN])
    return (
        f"nothing is let in on port {named}: no Service that selects them leads there, a limit on "
        "it cannot be read or is too large, or it is the sidecar's own"
    )


def _granting(answers: Iterable[Called]) -> str:
    """The policies that let it in, by kind."""
    targets = sorted({name for one in answers for name in one.targets})
    backends = sorted({name for one in answers for name in one.backends})
    kinds = (("TrafficTarget", targets), ("IngressBackend", backends))
    return " and ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)


def unguarded(mesh: Mesh, account: Account, attempt: Attempt, destination: Destination) -> str:
    """Which pods that may answer have no sidecar that would decide; "" if all have one."""
    _, to = places(attempt, destination)
    pods = pods_behind(mesh, account, to, attempt if destination.direct else None)
    return without_sidecar(one for one in pods if one.port is not None)


def without_sidecar(answering: Iterable[Answering]) -> str:
    """What is said of those that have no sidecar; "" for none."""
    accounts = sorted({str(one.pod.account) for one in answering if not one.guarded})
    if not accounts:
        return ""
    return (
        f"nothing is enforced at pods of {', '.join(accounts)} in the network of their node "
        "(hostNetwork): they have no sidecar, and are open to everybody who reaches them"
    )


def divided(mesh: Mesh, account: Account, attempt: Attempt, destination: Destination) -> str:
    """Which TrafficSplit divides what is sent to a destination, and which share each backend has;
    where policies decide, with what becomes of it there. "" if none does.
    """
    branch = branch_for(attempt, destination)
    if branch is None or not branch.policy or not branch.shares:
        return ""
    whole = sum(weight for _, weight in branch.shares)
    shares = ", ".join(
        f"{100 * weight / whole:.3g} % to Service {_service_of(name)}"
        f"{_becomes(mesh, account, attempt, name)}"
        for name, weight in sorted(branch.shares, key=lambda share: (-share[1], share[0]))
    )
    return f"TrafficSplit {branch.policy} divides it: {shares}"


def _becomes(mesh: Mesh, account: Account, attempt: Attempt, place: str) -> str:
    if not by_policies(mesh):
        return ""
    answers = called_at(mesh, account, attempt, (place,))
    if not answers:
        return " (no pod is there)"
    let_in = {one.lets_in for one in answers}
    if len(let_in) > 1:
        return " (some of its pods refuse it)"
    return " (let in)" if let_in.pop() else " (refused)"


def _service_of(place: str) -> str:
    namespace, service, _ = destination_of(place) or ("", "", 0)
    return f"{namespace}/{service}"


def without_permissive_mode(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> str:
    """What policies would say of a request that permissive mode lets in; "" where nobody counts it.

    As then, of pods of several accounts those are asked that grant the caller something.
    """
    if attempt.protocol is not Protocol.HTTP or not mesh.query(counts_refusals):
        return ""
    granting: dict[Account, set[str]] = {}
    others: set[Account] = set()
    _, to = places(attempt, destination)
    for one in pods_behind(mesh, account, to, attempt if destination.direct else None):
        shadow = one.port.shadow if one.port else None
        if one.port is None or shadow is None or not one.guarded:
            continue
        decided = replace(one, port=replace(one.port, permits=shadow))
        by = {f"TrafficTarget {name}" for name in targets_granting(mesh, account, attempt, decided)}
        by |= {f"IngressBackend {name}" for name in let_in_beside(mesh, account, one)}
        if by or any(means(mesh, permit, account, decided) for permit in shadow):
            granting.setdefault(one.pod.account, set()).update(by)
        else:
            others.add(one.pod.account)
    refusing = {callee for callee, by in granting.items() if not by} if granting else others
    if refusing:
        pods = ", ".join(map(str, sorted(refusing)))
        return f"without permissive mode the pods of {pods} would refuse it"
    names = sorted({name for by in granting.values() for name in by})
    return f"without permissive mode it would be let in by {', '.join(names)}" if names else ""


def _nearly(mesh: Mesh, account: Account, answers: Iterable[Called]) -> Iterator[str]:
    """What the targets that speak for the account allow, where that is something else."""
    for one in answers:
        for target in () if one.lets_in else targets_of(mesh, one.account):
            if account in target.sources:
                yield f"TrafficTarget {target.label} {_extent(mesh, target, account, one)}"


def _extent(mesh: Mesh, target: TrafficTarget, account: Account, at: Called) -> str:
    requests = mesh.query(granted_requests, target, at.port, at.protocol)
    if requests is None:
        return f"grants it nothing on port {at.port} of {at.account}, which is {at.protocol}"
    if not (told_apart(mesh, account) or certified(mesh, account)):
        return f"cannot tell its pods: none of their addresses is those of {account} alone"
    shown = "; ".join(words(match) for match in requests[:_SHOWN]) or "connections"
    more = " and more" if len(requests) > _SHOWN else ""
    return f"allows it on port {at.port} of {at.account}: {shown}{more}"


def in_mesh_but_refused(mesh: Mesh, account: Account, attempt: Attempt) -> tuple[str, ...]:
    """Why an address in the mesh is none of the account's destinations."""
    where = f"{attempt.address}:{attempt.port} is in the mesh"
    if not by_policies(mesh):
        return (f"{where}, where nothing is let in",)
    reason = f"{where}, and no TrafficTarget lets {account} call the pods behind it there"
    destination = leads_to(mesh, attempt)
    if destination is None:
        return (reason,)
    nearly = _nearly(mesh, account, called(mesh, account, attempt, destination))
    nobody = _nobody(mesh, account, attempt, destination)
    remark = unguarded(mesh, account, attempt, destination)
    if remark:
        remark += f"; the sidecars of {account} refuse it themselves"
    reasons = (reason, remark, *_beside(mesh, account, attempt, destination), *nobody, *nearly)
    return tuple(filter(None, reasons))


def _nobody(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Iterator[str]:
    """Why no TrafficTarget could help, where the account's pods cannot be told."""
    _, to = places(attempt, destination)
    answering = pods_behind(mesh, account, to, attempt if destination.direct else None)
    if recognised(mesh, account, answering):
        return
    if any(pod.host_network for pod in mesh.pods_of(account)):
        yield (
            f"pods of {account} are in the network of their node (hostNetwork), and its address is "
            "everybody's who runs there: a TrafficTarget tells them by mutual TLS alone, and an "
            "IngressBackend with the range of the node lets in all who run there"
        )
    else:
        yield (
            f"pods of other service accounts have the addresses of those of {account}: a "
            "TrafficTarget tells them by mutual TLS alone"
        )


def _beside(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> Iterator[str]:
    """Who is let in from outside at the ports that may answer, which no TrafficTarget says."""
    _, to = places(attempt, destination)
    pods = pods_behind(mesh, account, to, attempt if destination.direct else None)
    ports = (one.port for one in pods if one.port)
    entries = {(port.port, entry) for port in ports for entry in port.ingress}
    for number, entry in sorted(entries):
        yield f"IngressBackend {entry.policy} lets others in on port {number}: {_outside(entry)}"


def _outside(entry: Ingress) -> str:
    whence = f"from {_listed(entry.ranges)}" if entry.ranges else "from anywhere"
    if not entry.names:
        return f"in plaintext {whence}"
    hosts = f", for {_listed(entry.hosts)}" if entry.hosts else ""
    return f"by the certificate of {_listed(entry.names)}, {whence}{hosts}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")


def _service(destination: Destination) -> str:
    return f"Service {destination.namespace}/{destination.service}"
