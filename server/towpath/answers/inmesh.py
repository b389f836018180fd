"""What becomes of a request inside the mesh: whom the sidecars of the called pods let in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import cast

from towpath.model.identity import server_name
from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.model.plan import (
    Branch,
    Destination,
    Destinations,
    Endpoint,
    InboundPort,
    Ingress,
    Permit,
    destination_of,
)
from towpath.model.workloads import Pod
from towpath.planning import inbound, outbound
from towpath.planning.destinations import directory, encrypted, endpoints
from towpath.planning.egress.decide import Attempt, Decision, matches, words
from towpath.planning.identity import identity_of
from towpath.planning.inbound import lets_in
from towpath.planning.inmesh.grants import (
    addresses_of,
    by_policies,
    counts_refusals,
    granted_requests,
    targets_of,
)

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Called:
    """A port of pods of one account that may answer, and the TrafficTargets and IngressBackends
    that let a request in; `open` is false for a port that nothing is let in by, whatever they say.
    """

    account: Account
    port: int
    protocol: Protocol
    open: bool
    targets: tuple[str, ...]
    backends: tuple[str, ...] = ()

    @property
    def lets_in(self) -> bool:
        """True if the request is let in."""
        return bool(self.targets or self.backends)


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
    if lets_in(mesh):
        return None
    if not by_policies(mesh):
        text = "external authorization of what comes in is not supported, so nothing is let in"
        return Decision(None, (), (where, text))
    answers = called(mesh, account, attempt, destination)
    closed = sorted({str(one.account) for one in answers if not one.lets_in})
    if not answers:
        return None  # no pod is there
    reasons = [where]
    if by := _granting(answers):
        open_ = ", ".join(sorted({str(one.account) for one in answers if one.lets_in}))
        pods = f"the pods of {open_}" if closed else "the called pods"
        reasons.append(f"{pods} let it in by {by}")
    if not closed:
        return Decision(destination.name, (), tuple(reasons))
    reasons += _beside(mesh, account, attempt, destination)
    reasons.append(f"no TrafficTarget lets {account} call pods of {', '.join(closed)} with this")
    reasons += _nearly(mesh, account, answers)
    return Decision(None, (), tuple(reasons))


def _granting(answers: Iterable[Called]) -> str:
    """The policies that let it in, by kind."""
    targets = sorted({name for one in answers for name in one.targets})
    backends = sorted({name for one in answers for name in one.backends})
    kinds = (("TrafficTarget", targets), ("IngressBackend", backends))
    return " and ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)


def called(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> tuple[Called, ...]:
    """Every port that may answer an attempt, by the account of its pods."""
    _, to = places(attempt, destination)
    return _called_at(mesh, account, attempt, to, direct=destination.direct)


def _called_at(
    mesh: Mesh, account: Account, attempt: Attempt, to: tuple[str, ...], *, direct: bool = False
) -> tuple[Called, ...]:
    """The same, of what is sent to some destinations."""
    answers = {
        Called(
            account=one.pod.account,
            port=one.number,
            protocol=one.port.protocol if one.port else Protocol.TCP,
            open=one.port is not None and one.port.permits is not None,
            targets=_granted(mesh, account, attempt, one),
            backends=let_in_beside(mesh, account, one),
        )
        for one in pods_behind(mesh, account, to, attempt if direct else None)
    }
    return tuple(sorted(answers, key=lambda one: (one.account, one.port)))


def divided(mesh: Mesh, account: Account, attempt: Attempt, destination: Destination) -> str:
    """Which TrafficSplit divides what is sent to a destination, and which share each backend has;
    where policies decide, with what becomes of it there. "" if none does.
    """
    branch = _branch(attempt, destination)
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
    answers = _called_at(mesh, account, attempt, (place,))
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
        if one.port is None or shadow is None:
            continue
        decided = replace(one, port=replace(one.port, permits=shadow))
        by = {f"TrafficTarget {name}" for name in _granted(mesh, account, attempt, decided)}
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
    if not (told_apart(mesh, account) or _certified(mesh, account)):
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
    return (reason, *_beside(mesh, account, attempt, destination), *nearly)


def leads_to(mesh: Mesh, attempt: Attempt) -> Destination | None:
    """What the dialled address leads to in the mesh, whoever may call it."""
    for one in mesh.query(directory).reachable:
        if attempt.port == one.port and attempt.address in one.addresses:
            return one
    return None


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


def places(attempt: Attempt, destination: Destination) -> tuple[str, tuple[str, ...]]:
    """The destinations that may get the attempt, and the split that says so ("" for none)."""
    branch = _branch(attempt, destination)
    if branch is None:
        return "", (destination.name,)
    return branch.policy, tuple(name for name, _ in branch.shares)


def _branch(attempt: Attempt, destination: Destination) -> Branch | None:
    """The first that is about the attempt; None for a destination without any."""
    for branch in destination.branches:
        if not branch.matches or any(matches(match, attempt) for match in branch.matches):
            return branch
    return None


def endpoints_for(mesh: Mesh, account: Account, place: str) -> tuple[Endpoint, ...]:
    """The endpoints of a destination that the account's sidecars are sent; all of them, if it is
    none of theirs.
    """
    of = destination_of(place)
    accounts = mesh.query(_called_alone, mesh.query(outbound, account).destinations)
    return mesh.query(endpoints, *of, accounts.get(place, ())) if of else ()


def _called_alone(_: Mesh, destinations: Destinations) -> dict[str, tuple[Account, ...]]:
    """Of destinations of which only the pods of some accounts are called: these. Where clients
    dial the endpoints themselves, the address says which.
    """
    return {one.name: one.accounts for one in destinations if one.accounts and not one.direct}


@dataclass(frozen=True, slots=True)
class Answering:
    """A pod that may answer, the number of its port, and what that lets in (None: it is closed).

    `server_name` is what clients that call by mutual TLS ask for there; "" where it is called in
    plaintext.
    """

    pod: Pod
    number: int
    port: InboundPort | None
    server_name: str


def pods_behind(
    mesh: Mesh, account: Account, to: tuple[str, ...], dialled: Attempt | None = None
) -> Iterator[Answering]:
    """The pods that may answer behind some destinations; of those with the address that was
    *dialled* alone, where clients dial the endpoints themselves.
    """
    by_tls = mesh.query(_encrypted_names)
    for place in to:
        for endpoint in endpoints_for(mesh, account, place):
            if dialled is not None and endpoint.address != dialled.address:
                continue
            name = _server_name(place) if endpoint.mtls and place in by_tls else ""
            for pod in mesh.pods_at(endpoint.address):
                ports = {port.port: port for port in mesh.query(inbound, pod).ports}
                yield Answering(pod, endpoint.port, ports.get(endpoint.port), name)


def _encrypted_names(mesh: Mesh) -> frozenset[str]:
    return frozenset(one.name for one in mesh.query(encrypted))


def _server_name(place: str) -> str:
    namespace, service, _ = destination_of(place) or ("", "", 0)
    return server_name(namespace, service)


def let_in_beside(mesh: Mesh, account: Account, at: Answering) -> tuple[str, ...]:
    """The IngressBackends that let in whatever the account's pods ask at a port.

    Where some of its pods call by mutual TLS and others do not, or some from elsewhere, nothing
    says which of them calls: none.
    """
    entries = at.port.ingress if at.port else ()
    pods, roots = mesh.pods_of(account) if entries else (), mesh.roots()
    if not pods:
        return ()
    marked = {identity_of(mesh, pod) is not None for pod in pods}
    if at.server_name and len(marked) > 1:
        return ()
    by_tls = bool(at.server_name) and True in marked
    name = roots.name(account) if roots else ""
    return tuple(
        sorted(
            {
                entry.policy
                for entry in entries
                if bool(entry.names) is by_tls
                and (not by_tls or name in entry.names)
                and (not entry.hosts or at.server_name in entry.hosts)
                and (not entry.ranges or all(_within(pod, entry.ranges) for pod in pods))
            }
        )
    )


def _within(pod: Pod, ranges: tuple[str, ...]) -> bool:
    blocks = [IPv4Network(one) for one in ranges]
    return any(IPv4Address(address) in block for address in pod.addresses for block in blocks)


def _granted(mesh: Mesh, account: Account, attempt: Attempt, at: Answering) -> tuple[str, ...]:
    """The TrafficTargets that let the attempt in at a port."""
    port = at.port
    permits = port.permits or () if port else ()
    grants = [permit for permit in permits if means(mesh, permit, account, at)]
    if port is None or port.protocol is not Protocol.HTTP:
        return tuple(permit.policy for permit in grants)
    if grants and attempt.protocol is not Protocol.HTTP:
        if let_in_beside(mesh, account, at):
            return ()  # any request is let in
        raise ValueError(
            f"{attempt.address}:{attempt.port} depends on the request: say it as http://HOST/PATH"
        )
    return tuple(
        permit.policy
        for permit in grants
        if any(matches(match, attempt) for match in permit.requests)
    )


def means(mesh: Mesh, permit: Permit, account: Account, at: Answering) -> bool:
    """True if the permit is for that account, and its pods can be told by what they show: by
    certificates where all of them call by mutual TLS and requests are seen, else by addresses.
    """
    namespace, _, name = permit.policy.partition("/")
    target = cast("TrafficTarget | None", mesh.get(Kind.TRAFFIC_TARGET, namespace, name))
    if target is None or account not in target.sources:
        return False
    sees = at.port is not None and at.port.protocol is Protocol.HTTP
    if sees and at.server_name and _certified(mesh, account):
        return True
    addresses = mesh.query(addresses_of, account)
    return not addresses or bool({*addresses} & {*permit.addresses})


def _certified(mesh: Mesh, account: Account) -> bool:
    """True if the account has pods, and all of them call by mutual TLS."""
    pods = mesh.pods_of(account)
    return bool(pods) and all(identity_of(mesh, pod) is not None for pod in pods)


def told_apart(mesh: Mesh, account: Account) -> bool:
    """True unless the account has pods, all of them at addresses that are not its own alone."""
    addresses = mesh.query(addresses_of, account)
    return not addresses or any(
        all(pod.account == account and not pod.host_network for pod in mesh.pods_at(address))
        for address in addresses
    )


def _service(destination: Destination) -> str:
    return f"Service {destination.namespace}/{destination.service}"
