"""What a sidecar lets in: the target ports of the services that select its pod, and the kubelet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from towpath.model.codes import Code
from towpath.model.identity import MtlsMode
from towpath.model.limits import RateLimits
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, Protocol
from towpath.model.plan import Inbound, InboundPort, Request, ServerMtls
from towpath.model.ports import PROBE_PORTS, SIDECAR_PORTS
from towpath.model.problem import Problem
from towpath.model.workloads import Pod, Probe, Service, ServicePort
from towpath.planning.config import config, tls_parameters
from towpath.planning.egress.observation import reports
from towpath.planning.identity import identity_of, mode
from towpath.planning.inmesh.grants import by_policies, counts_refusals, permits
from towpath.planning.inmesh.ingress import ingress
from towpath.planning.inmesh.limits import (
    MOST_ENTRIES,
    MOST_LIMITS,
    closed_ingress,
    closed_limits,
    closed_targets,
)
from towpath.planning.inmesh.settings import limiting


def inbound(mesh: Mesh, pod: Pod) -> Inbound:
    """The ports that open for in-mesh clients, and those that the kubelet probes.

    Without permissive mode in-mesh clients reach what policies let in, and nothing where external
    authorization should be asked first. A pod whose namespace is not monitored has none at all.
    """
    if not mesh.monitored(pod.namespace):
        return Inbound(ports=())
    open_ports = tuple(_open(mesh, pod))
    taken = {port.port for port in open_ports}
    probed = (port for port in _probed(pod) if port.port not in taken)
    return Inbound(
        ports=tuple(sorted((*open_ports, *probed), key=lambda port: port.port)),
        mtls=_mtls(mesh, pod, {port.port: port for port in open_ports}),
    )


def _mtls(mesh: Mesh, pod: Pod, open_ports: Mapping[int, InboundPort]) -> ServerMtls | None:
    """The kubelet has no certificate, so in strict mode its probes come in beside mutual TLS."""
    account = identity_of(mesh, pod) if open_ports else None
    if account is None:
        return None
    strict = mesh.query(mode, pod.namespace) is MtlsMode.STRICT
    probed = [port for port in _probed(pod) if strict and port.port in open_ports and port.probes]
    probes = (replace(open_ports[port.port], probes=port.probes) for port in probed)
    return ServerMtls(account, strict, tuple(probes), mesh.query(tls_parameters))


def lets_in(mesh: Mesh) -> bool:
    """True if in-mesh clients may reach what services lead to, whoever they are."""
    switches = config(mesh)
    return switches.permissive and not switches.external_authorization


def _open(mesh: Mesh, pod: Pod) -> Iterable[InboundPort]:
    """The ports that services lead to; where policies decide, with what these let in."""
    # Each switch by a query of its own: the others concern no pod.
    decides, counts = mesh.query(by_policies), mesh.query(counts_refusals)
    # Nobody is let in where somebody should be asked first whom no sidecar can ask.
    closed = not decides and not mesh.query(lets_in)
    asks = decides or counts or closed
    health = {port.port: port.probes or () for port in _probed(pod)} if asks else {}
    ports = tuple(_of_services(mesh, pod))
    too_large = _without_room(mesh, pod, ports) if decides or counts else frozenset[str]()
    for port in ports:
        probes = health.get(port.port, ())
        if closed:
            yield replace(port, permits=(), health=probes, ingress=())
            continue
        if not decides and not (counts and port.protocol is Protocol.HTTP):
            yield port
            continue
        granted = mesh.query(permits, pod.account, port.port, port.protocol, too_large)
        if decides:
            yield replace(port, permits=granted, health=probes)
        else:
            yield replace(port, shadow=granted, health=probes)


def _without_room(mesh: Mesh, pod: Pod, ports: Iterable[InboundPort]) -> frozenset[str]:
    """The targets that together ask for more than a sidecar is sent, the largest of them."""
    http: set[int] = set()
    others: set[int] = set()
    for port in ports:
        (http if port.protocol is Protocol.HTTP else others).add(port.port)
    return mesh.query(closed_targets, pod.account, frozenset(http), frozenset(others))


def _of_services(mesh: Mesh, pod: Pod) -> Iterable[InboundPort]:
    """The ports that services lead to, with what there is room for of what comes from outside."""
    ports = tuple(_claimed(mesh, pod))
    closed = closed_ingress(entry for port in ports for entry in port.ingress)
    if not closed:
        return ports
    return (
        replace(port, ingress=tuple(one for one in port.ingress if one.policy not in closed))
        for port in ports
    )


def _claimed(mesh: Mesh, pod: Pod) -> Iterator[InboundPort]:
    """The ports that services lead to; not where a limit on what comes in cannot be read, or there
    is no room for it: without it more would come in than its author wants.
    """
    claims = _claims(mesh, pod)
    too_large = _unlimited(mesh, pod, claims)
    for number, by_service in sorted(claims.items()):
        names = _names(by_service)
        limits = limiting(mesh, pod.namespace, names)
        if any(one.closed for one in limits) or (limits and limits[0].label in too_large):
            continue
        yield InboundPort(
            port=number,
            # The first service by name decides what the port speaks; see `disagreements`.
            protocol=by_service[0][1],
            services=tuple(f"{pod.namespace}/{name}" for name in names),
            limits=limits[0].limits if limits else RateLimits(),
            ingress=mesh.query(ingress, pod.namespace, names, number, by_service[0][1]),
            reports=mesh.query(reports, pod.namespace),
        )


_Claims = Mapping[int, Sequence[tuple[str, Protocol]]]


def _unlimited(mesh: Mesh, pod: Pod, claims: _Claims) -> frozenset[str]:
    """The settings that together limit more than there is room for, the largest of them."""
    on_ports = (
        (limiting(mesh, pod.namespace, _names(by_service)), by_service[0][1])
        for by_service in claims.values()
    )
    return closed_limits(
        (settings[0], protocol)
        for settings, protocol in on_ports
        if settings and not any(one.closed for one in settings)
    )


def _names(by_service: Iterable[tuple[str, Protocol]]) -> tuple[str, ...]:
    """The services of a claim, each once."""
    return tuple(sorted({name for name, _ in by_service}))


def protocols(mesh: Mesh, pod: Pod) -> dict[int, Protocol]:
    """What is spoken on each port of a pod that services lead to."""
    return {number: by_service[0][1] for number, by_service in _claims(mesh, pod).items()}


def _claims(mesh: Mesh, pod: Pod) -> dict[int, list[tuple[str, Protocol]]]:
    """The services that lead to each port, by name, and what they say that it speaks."""
    claims: dict[int, list[tuple[str, Protocol]]] = {}
    for service in selecting(mesh, pod):
        for port in service.ports:
            number = target_port(port, pod)
            if number is not None and number not in SIDECAR_PORTS:
                claims.setdefault(number, []).append((service.name, port.protocol))
    return claims


def _probed(pod: Pod) -> Iterable[InboundPort]:
    by_port: dict[int, set[Request]] = {}
    for probe in pod.probes:
        if probe.port not in SIDECAR_PORTS | PROBE_PORTS and not probe.tls:
            requests = by_port.setdefault(probe.port, set())
            if probe.path:
                requests.add(Request(probe.method, probe.path))
    for number, requests in sorted(by_port.items()):
        protocol = Protocol.HTTP if requests else Protocol.TCP
        yield InboundPort(number, protocol, (), probes=tuple(sorted(requests)))


def selecting(mesh: Mesh, pod: Pod) -> tuple[Service, ...]:
    """The services whose selector matches the pod's labels, by name."""
    labels = set(pod.labels)
    candidates = {
        service.name: service
        for label in pod.labels
        for service in mesh.services_by_selector(pod.namespace, label)
        if labels.issuperset(service.selector)
    }
    return tuple(candidates[name] for name in sorted(candidates))


def target_port(port: ServicePort, pod: Pod) -> int | None:
    """The number that a service port has on this pod; None if the pod does not name it."""
    if isinstance(port.target_port, int):
        return port.target_port
    return dict(pod.ports).get(port.target_port)


def disagreements(mesh: Mesh, pod: Pod) -> tuple[Problem, ...]:
    """Two services that lead to one port of a pod and say that it speaks different protocols."""
    if not mesh.monitored(pod.namespace):
        return ()
    first: dict[int, tuple[Service, Protocol]] = {}
    problems = []
    for service in selecting(mesh, pod):
        for port in service.ports:
            number = target_port(port, pod)
            if number is None:
                continue
            holder, protocol = first.setdefault(number, (service, port.protocol))
            if protocol != port.protocol:
                problems.append(
                    Problem(
                        object=ObjectRef("Service", service.namespace, service.name),
                        field="spec.ports",
                        code=Code.CONFLICTING_PROTOCOL,
                        message=f"target port {number} of Pod {pod.namespace}/{pod.name} is "
                        f"{port.protocol} here and {protocol} in Service {holder.namespace}/"
                        f"{holder.name}; {protocol} is used",
                    )
                )
    return tuple(problems)


def contested_limits(mesh: Mesh, pod: Pod) -> tuple[Problem, ...]:
    """Two services that lead to one port of a pod, and settings of both that limit it."""
    if not mesh.monitored(pod.namespace):
        return ()
    problems = []
    for number, by_service in _claims(mesh, pod).items():
        settings = limiting(mesh, pod.namespace, _names(by_service))
        problems += [
            Problem(
                object=other.ref,
                field="spec.rateLimit",
                code=Code.CONFLICTING_LIMITS,
                message=f"Services {settings[0].service} and {other.service} lead to one port of "
                f"their pods, {number}: there UpstreamTrafficSetting {settings[0].label} limits "
                "what comes in, and this one does not",
            )
            for other in settings[1:]
            # One that cannot be read closes the port, of which there is a Problem already.
            if other.limits != settings[0].limits and not any(one.closed for one in settings)
        ]
    return tuple(problems)


def oversized(mesh: Mesh, pod: Pod) -> tuple[Problem, ...]:
    """The policies for which the pod's sidecar has no room, in the same words for all its like."""
    if not mesh.monitored(pod.namespace):
        return ()
    ports = tuple(_claimed(mesh, pod))
    closed = [
        (Kind.INGRESS_BACKEND, policy, Code.LARGE_INGRESS)
        for policy in closed_ingress(entry for port in ports for entry in port.ingress)
    ]
    closed += [
        (Kind.UPSTREAM_TRAFFIC_SETTING, label, Code.LARGE_LIMITS)
        for label in _unlimited(mesh, pod, _claims(mesh, pod))
    ]
    if mesh.query(by_policies) or mesh.query(counts_refusals):
        too_large = _without_room(mesh, pod, ports)
        closed += [(Kind.TRAFFIC_TARGET, label, Code.LARGE_TARGET) for label in too_large]
    return tuple(_oversized(kind, label, code, pod.account) for kind, label, code in closed)


def _oversized(kind: Kind, label: str, code: Code, account: Account) -> Problem:
    namespace, _, name = label.partition("/")
    most, effect = MOST_ENTRIES, "lets nobody in there"
    if kind is Kind.UPSTREAM_TRAFFIC_SETTING:
        most, effect = MOST_LIMITS, "closes the ports there that it would limit"
    text = (
        f"the {kind}s for pods of {account} need more than {most:,} entries in a sidecar's "
        f"configuration: this one, among the largest, {effect}"
    )
    return Problem(ObjectRef(kind, namespace, name), "spec", code, text)


def unprobed(mesh: Mesh, pod: Pod) -> tuple[Problem, ...]:
    """Probes that the sidecar cannot tell from other traffic, on ports that are closed to it."""
    hidden = [probe for probe in pod.probes if probe.tls]
    if not hidden or not mesh.monitored(pod.namespace):
        return ()
    taken = {port.port: port for port in _open(mesh, pod)}
    mtls = _mtls(mesh, pod, taken)
    strict = (mtls is not None and mtls.strict) or not lets_in(mesh)
    return tuple(_hidden(pod, probe) for probe in hidden if strict or probe.port not in taken)


def _hidden(pod: Pod, probe: Probe) -> Problem:
    return Problem(
        object=ObjectRef("Pod", pod.namespace, pod.name),
        field="spec.containers",
        code=Code.HIDDEN_PROBE,
        message=f"the kubelet's probe of {probe.path} on port {probe.port} is HTTPS, which a "
        "sidecar cannot tell from other traffic: it is not let in; use plain HTTP for it",
    )
