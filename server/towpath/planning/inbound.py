"""What a sidecar lets in: the target ports of the services that select its pod."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import SIDECAR_PORTS, ObjectRef, Protocol
from towpath.model.plan import Inbound, InboundPort
from towpath.model.problem import Problem, Reason
from towpath.model.workloads import Pod, Service, ServicePort


def inbound(mesh: Mesh, pod: Pod) -> Inbound:
    """The ports that open for in-mesh clients; none if the pod's namespace is not monitored."""
    if not mesh.monitored(pod.namespace):
        return Inbound(ports=())
    claims: dict[int, list[tuple[str, Protocol]]] = {}
    for service in selecting(mesh, pod):
        for port in service.ports:
            number = target_port(port, pod)
            if number is not None and number not in SIDECAR_PORTS:
                claims.setdefault(number, []).append((service.name, port.protocol))
    return Inbound(
        ports=tuple(
            InboundPort(
                port=number,
                # The first service by name decides what the port speaks; see `disagreements`.
                protocol=by_service[0][1],
                services=tuple(sorted({f"{pod.namespace}/{name}" for name, _ in by_service})),
            )
            for number, by_service in sorted(claims.items())
        )
    )


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
                        reason=Reason.CONFLICT,
                        message=f"target port {number} of Pod {pod.namespace}/{pod.name} is "
                        f"{port.protocol} here and {protocol} in Service {holder.namespace}/"
                        f"{holder.name}; {protocol} is used",
                    )
                )
    return tuple(problems)
