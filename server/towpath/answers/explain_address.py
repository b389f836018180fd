"""Explain a request of whoever calls from an address: of a pod that is its account's; of anybody
else what the called pods let in of callers who have no sidecar, and show nothing but their address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from towpath.answers.answering import Answering, at_port, leads_to
from towpath.answers.dialled import address_of
from towpath.answers.explain import Explanation, explain
from towpath.answers.inmesh import without_sidecar
from towpath.answers.suggest_ingress import ingress_suggestion
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, InboundPort, Request
from towpath.model.problem import Problem
from towpath.planning import inbound
from towpath.planning.config import config
from towpath.planning.destinations import direct_endpoints, endpoints
from towpath.planning.egress.decide import Attempt, Decision, bare, matches
from towpath.planning.inbound import lets_in, protocols
from towpath.planning.inmesh.ingress import backing

_NOBODY = Account("", "")
_SHOWN = 5
_INGRESS_OFF = (
    "IngressBackends are off: without spec.featureFlags.enableIngressBackendPolicy of the "
    "MeshConfig none would let it in"
)


def explain_address(
    mesh: Mesh, caller: IPv4Address, attempt: Attempt, problems: tuple[Problem, ...]
) -> Explanation:
    """Judge an attempt of whoever has that address.

    Raises ValueError as `explain` does, and for what somebody without a sidecar sends elsewhere
    than into the mesh.
    """
    account, whose = _owner(mesh, str(caller))
    if account is not None:
        answer = explain(mesh, account, attempt, problems)
        reasons = (whose, *answer.decision.reasons)
        return replace(answer, decision=replace(answer.decision, reasons=reasons))
    dialled = attempt
    if attempt.address is None:
        dialled = replace(attempt, address=address_of(mesh, _NOBODY, attempt))
    destination = leads_to(mesh, dialled)
    answering = tuple(_answering(mesh, dialled, destination))
    if destination is None and not answering:
        where = dialled.address or bare(dialled.host, dialled.port)
        raise ValueError(
            f"{where}:{dialled.port} is not in the mesh, and {caller} has no sidecar that would "
            "decide whether it may go there"
        )
    called = _called(mesh, caller, dialled, answering)
    decision = _decision(dialled, destination, called)
    suggestion = ""
    last: tuple[str, ...] = ()
    if not decision.allowed:
        guarded = tuple(one for one in answering if one.guarded)
        suggestion = ingress_suggestion(mesh, caller, dialled, guarded)
        last = () if config(mesh).enable_ingress_backend_policy else (_INGRESS_OFF,)
    return Explanation(
        attempt=dialled,
        decision=replace(decision, reasons=(whose, *decision.reasons, *last)),
        policies=(),
        problems=_about(mesh, answering, problems),
        suggestion=suggestion,
    )


def _owner(mesh: Mesh, address: str) -> tuple[Account | None, str]:
    """The account whose pods alone have the address, if a sidecar speaks for it; and in words whose
    address it is.
    """
    pods = sorted(mesh.pods_at(address), key=lambda pod: (pod.namespace, pod.name))
    if not pods:
        return None, f"{address} is not the address of a pod: a client there has no sidecar"
    names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:_SHOWN])
    names += " and more" if len(pods) > _SHOWN else ""
    if any(pod.host_network for pod in pods):
        return None, (
            f"{address} is the address of a node, in whose network are Pod {names}: it is "
            "everybody's who runs there, and tells nobody"
        )
    outside = sorted({pod.namespace for pod in pods if not mesh.monitored(pod.namespace)})
    if outside:
        return None, (
            f"{address} is Pod {names}, and namespace {', '.join(outside)} is not part of mesh "
            f"{mesh.mesh_name}: it has no sidecar"
        )
    accounts = {pod.account for pod in pods}
    if len(accounts) > 1:
        return None, f"{address} is the address of pods of several service accounts: {names}"
    (account,) = accounts
    return account, f"{address} is Pod {names}, of service account {account}"


def _answering(
    mesh: Mesh, attempt: Attempt, destination: Destination | None
) -> Iterator[Answering]:
    """The pods that may get it: what is dialled of a Service is divided by no sidecar, and so by no
    TrafficSplit.
    """
    if destination is None:
        for pod in mesh.pods_at(attempt.address or ""):
            if mesh.monitored(pod.namespace):
                yield at_port(mesh, pod, attempt.port)
        return
    of = (destination.namespace, destination.service, destination.port)
    for endpoint in mesh.query(direct_endpoints if destination.direct else endpoints, *of):
        if not destination.direct or endpoint.address == attempt.address:
            for pod in mesh.pods_at(endpoint.address):
                yield at_port(mesh, pod, endpoint.port)


@dataclass(frozen=True, slots=True, order=True)
class _Verdict:
    """Whether pods of one account let it in, by which policy ("" for none), and why."""

    allowed: bool
    reason: str
    policy: str = ""


def _decision(
    attempt: Attempt, destination: Destination | None, called: tuple[_Verdict, ...]
) -> Decision:
    """Allowed if all that may answer let it in, since anyone of them may."""
    where = f"{attempt.address}:{attempt.port}"
    if destination is None:
        via, what = where, f"{where} is a pod of the mesh"
    else:
        via = destination.name
        what = f"{where} is Service {destination.namespace}/{destination.service}"
    if not called:
        return Decision(None, (), (what, "no pod is there"))
    reasons = (what, *dict.fromkeys(one.reason for one in called))
    policies = tuple(sorted({one.policy for one in called if one.policy}))
    allowed = all(one.allowed for one in called)
    return Decision(via if allowed else None, policies if allowed else (), reasons)


def _called(
    mesh: Mesh, caller: IPv4Address, attempt: Attempt, answering: tuple[Answering, ...]
) -> tuple[_Verdict, ...]:
    answers = {
        _verdict(mesh, caller, attempt, one)
        if one.guarded
        else _Verdict(allowed=True, reason=without_sidecar([one]))
        for one in answering
    }
    return tuple(sorted(answers, reverse=True))


def _verdict(mesh: Mesh, caller: IPv4Address, attempt: Attempt, at: Answering) -> _Verdict:
    """What the sidecar of a called pod makes of plaintext from that address."""
    port, where = at.port, f"port {at.number} of the pods of {at.pod.account}"
    if port is None:
        # Services lead there, and no sidecar is given the port, where a limit cannot be read
        # or has no room.
        limited = at.number in mesh.query(protocols, at.pod)
        limit = "a limit of a Service cannot be read, or is too large"
        why = limit if limited else "no Service leads there"
        return _Verdict(allowed=False, reason=f"{where} is closed: {why}")
    mtls = mesh.query(inbound, at.pod).mtls
    strict = mtls is not None and mtls.strict
    for entry in port.plain_ingress:
        if any(caller in IPv4Network(block) for block in entry.ranges):
            reason = f"IngressBackend {entry.policy} lets in all from there at {where}"
            return _Verdict(allowed=True, reason=reason, policy=entry.policy)
    if port.probes is None and port.permits is None and not strict:
        reason = f"{where} is open: permissive mode is on, for callers without a sidecar too"
        return _Verdict(allowed=True, reason=reason)
    permits = [] if strict else [one for one in port.permits or () if str(caller) in one.addresses]
    if permits and port.protocol is not Protocol.HTTP:
        return _by_target(permits[0].policy, where)
    probes = _probes(port, mtls.probes if mtls else ())
    if attempt.protocol is not Protocol.HTTP and (probes or permits):
        raise ValueError(
            f"{attempt.address}:{attempt.port} depends on the request: say it as http://HOST/PATH"
        )
    for permit in permits:
        if any(matches(match, attempt) for match in permit.requests):
            return _by_target(permit.policy, where)
    if Request(attempt.method, attempt.path.partition("?")[0]) in probes:
        reason = f"{where} lets it in from anywhere: the kubelet asks this"
        return _Verdict(allowed=True, reason=reason)
    return _Verdict(allowed=False, reason=f"{where} refuses it: {_why(mesh, port, strict=strict)}")


def _by_target(policy: str, where: str) -> _Verdict:
    reason = f"TrafficTarget {policy} is for all pods at that address, at {where}"
    return _Verdict(allowed=True, reason=reason, policy=policy)


def _probes(port: InboundPort, beside: tuple[InboundPort, ...]) -> frozenset[Request]:
    """The kubelet's requests that come in; *beside* are those of strict mode."""
    strictly = (one for of in beside if of.port == port.port for one in of.probes or ())
    return frozenset((*port.health, *(port.probes or ()), *strictly))


def _why(mesh: Mesh, port: InboundPort, *, strict: bool) -> str:
    if port.probes is not None:
        return "no Service leads there, so that only the kubelet's probes are let in"
    if strict:
        return "it lets in mutual TLS alone (spec.traffic.mtls: strict)"
    if not (lets_in(mesh) or port.permits):
        return "without permissive mode nobody comes in there by address"
    return "a TrafficTarget tells callers in plaintext by addresses of its sources alone"


def _about(
    mesh: Mesh, answering: tuple[Answering, ...], problems: tuple[Problem, ...]
) -> tuple[Problem, ...]:
    """Problems of the IngressBackends that let somebody in there."""
    ports = (one.port for one in answering if one.port)
    services = {name.partition("/")[::2] for port in ports for name in port.services}
    refs = {policy.ref for of in services for policy in mesh.query(backing, *of)}
    return tuple(problem for problem in problems if problem.object in refs)
