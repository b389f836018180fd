"""Which pods may answer a request inside the mesh, and what lets it in at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    Permit,
    destination_of,
)
from towpath.model.workloads import Pod
from towpath.planning import inbound, outbound
from towpath.planning.destinations import direct_endpoints, directory, encrypted, endpoints
from towpath.planning.egress.decide import Attempt, is_about, matches
from towpath.planning.identity import MARK, identity_of
from towpath.planning.inmesh.grants import addresses_of


@dataclass(frozen=True, slots=True)
class Called:
    """A port of pods of one account that may answer, and the TrafficTargets and IngressBackends
    that let a request in; `open` is false for a port that nothing is let in by, whatever they say,
    and `guarded` for pods without a sidecar, which get whatever is sent there.
    """

    account: Account
    port: int
    protocol: Protocol
    open: bool
    targets: tuple[str, ...]
    backends: tuple[str, ...] = ()
    guarded: bool = True

    @property
    def lets_in(self) -> bool:
        """True if the request is let in."""
        return not self.guarded or bool(self.targets or self.backends)


def called(
    mesh: Mesh, account: Account, attempt: Attempt, destination: Destination
) -> tuple[Called, ...]:
    """Every port that may answer an attempt, by the account of its pods."""
    _, to = places(attempt, destination)
    return called_at(mesh, account, attempt, to, direct=destination.direct)


def called_at(
    mesh: Mesh, account: Account, attempt: Attempt, to: tuple[str, ...], *, direct: bool = False
) -> tuple[Called, ...]:
    """The same, of what is sent to some destinations."""
    answers = {
        Called(
            account=one.pod.account,
            port=one.number,
            protocol=one.port.protocol if one.port else Protocol.TCP,
            open=one.port is not None and one.port.permits is not None,
            targets=targets_granting(mesh, account, attempt, one),
            backends=let_in_beside(mesh, account, one),
            guarded=one.guarded,
        )
        for one in pods_behind(mesh, account, to, attempt if direct else None)
    }
    return tuple(sorted(answers, key=lambda one: (one.account, one.port)))


def places(attempt: Attempt, destination: Destination) -> tuple[str, tuple[str, ...]]:
    """The destinations that may get the attempt, and the split that says so ("" for none)."""
    branch = branch_for(attempt, destination)
    if branch is None:
        return "", (destination.name,)
    return branch.policy, tuple(name for name, _ in branch.shares)


def branch_for(attempt: Attempt, destination: Destination) -> Branch | None:
    """The first that is about the attempt; None for a destination without any."""
    for branch in destination.branches:
        if not branch.matches or any(is_about(match, attempt) for match in branch.matches):
            return branch
    return None


def leads_to(mesh: Mesh, attempt: Attempt) -> Destination | None:
    """What the dialled address leads to in the mesh, whoever may call it."""
    for one in mesh.query(directory).reachable:
        if attempt.port == one.port and attempt.address in one.addresses:
            return one
    return None


def endpoints_for(mesh: Mesh, account: Account, place: str) -> tuple[Endpoint, ...]:
    """The endpoints of a destination that the account's sidecars are sent; all of them, if it is
    none of theirs.
    """
    accounts = mesh.query(_called_alone, mesh.query(outbound, account).destinations)
    return _endpoints(mesh, place, accounts.get(place, ()))


def _endpoints(mesh: Mesh, place: str, accounts: tuple[Account, ...] = ()) -> tuple[Endpoint, ...]:
    of = destination_of(place)
    if of is None:
        return ()
    record = mesh.service(*of[:2])
    if record is not None and record.headless:
        return mesh.query(direct_endpoints, *of)
    return mesh.query(endpoints, *of, accounts)


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

    @property
    def guarded(self) -> bool:
        """True if there is a sidecar that decides who comes in."""
        return has_sidecar(self.pod)

    @property
    def shut(self) -> bool:
        """True if the pod's sidecar lets nobody in there, but for the kubelet, whatever is on."""
        closed = self.port is None or self.port.probes is not None
        return closed and not self.pod.host_network


def has_sidecar(pod: Pod) -> bool:
    """False for a pod in the network of its node: none is injected there, nor could the node's
    traffic be redirected to it. Only a mark says that somebody has given it one by hand.
    """
    return not pod.host_network or MARK in pod.labels


def pods_behind(
    mesh: Mesh, account: Account, to: tuple[str, ...], dialled: Attempt | None = None
) -> Iterator[Answering]:
    """The pods that may answer behind some destinations; of those with the address that was
    *dialled* alone, where clients dial the endpoints themselves.
    """
    for place in to:
        endpoints_there = endpoints_for(mesh, account, place)
        if dialled is not None:
            endpoints_there = tuple(
                one for one in endpoints_there if one.address == dialled.address
            )
        yield from _at(mesh, place, endpoints_there)


def all_behind(mesh: Mesh, destination: Destination) -> Iterator[Answering]:
    """Every pod that may answer behind a destination, whoever calls and whatever is asked for."""
    for place in all_places(destination):
        yield from _at(mesh, place, _endpoints(mesh, place))


def all_places(destination: Destination) -> tuple[str, ...]:
    """The destinations that what is sent to this one goes to."""
    if not destination.branches:
        return (destination.name,)
    return tuple(sorted({name for one in destination.branches for name, _ in one.shares}))


def _at(mesh: Mesh, place: str, endpoints_there: Iterable[Endpoint]) -> Iterator[Answering]:
    by_tls = mesh.query(_encrypted_names)
    for endpoint in endpoints_there:
        name = _server_name(place) if endpoint.mtls and place in by_tls else ""
        for pod in mesh.pods_at(endpoint.address):
            yield at_port(mesh, pod, endpoint.port, name)


def at_port(mesh: Mesh, pod: Pod, number: int, server_name: str = "") -> Answering:
    """What a pod lets in at a port."""
    ports = {port.port: port for port in mesh.query(inbound, pod).ports}
    return Answering(pod, number, ports.get(number), server_name)


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
    entries = at.port.ingress if at.port and at.guarded else ()
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


def targets_granting(
    mesh: Mesh, account: Account, attempt: Attempt, at: Answering
) -> tuple[str, ...]:
    """The TrafficTargets that let the attempt in at a port."""
    port = at.port if at.guarded else None
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
    if sees and at.server_name and certified(mesh, account):
        return True
    addresses = mesh.query(addresses_of, account)
    return not addresses or bool({*addresses} & {*permit.addresses})


def certified(mesh: Mesh, account: Account) -> bool:
    """True if the account has pods, and all of them call by mutual TLS."""
    pods = mesh.pods_of(account)
    return bool(pods) and all(identity_of(mesh, pod) is not None for pod in pods)


def recognised(mesh: Mesh, account: Account, answering: Iterable[Answering]) -> bool:
    """True unless those who may answer can tell the account's pods neither by an address nor, where
    requests are seen, by a certificate.
    """
    if told_apart(mesh, account):
        return True
    return certified(mesh, account) and all(
        one.server_name and one.port is not None and one.port.protocol is Protocol.HTTP
        for one in answering
        if one.guarded
    )


def told_apart(mesh: Mesh, account: Account) -> bool:
    """True unless the account has pods, all of them at addresses that are not its own alone."""
    addresses = mesh.query(addresses_of, account)
    return not addresses or any(
        all(pod.account == account and not pod.host_network for pod in mesh.pods_at(address))
        for address in addresses
    )
