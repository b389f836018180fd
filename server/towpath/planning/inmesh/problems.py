"""What keeps an in-mesh policy, or a part of it, from having effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from towpath.model.inmesh import TCPRoute, TrafficSplit, TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, Protocol
from towpath.model.problem import Problem, Reason
from towpath.model.workloads import Service
from towpath.planning.inmesh.splits import can_be_dialled, splits_of, unconditional

_NOT_YET = "traffic targets are not supported by this version: the object has no effect"


def in_mesh_problems(mesh: Mesh) -> tuple[Problem, ...]:
    """The Problems of every split, target and TCPRoute."""
    splits = cast("tuple[TrafficSplit, ...]", mesh.group(Kind.TRAFFIC_SPLIT, "all"))
    targets = cast("tuple[TrafficTarget, ...]", mesh.group(Kind.TRAFFIC_TARGET, "all"))
    routes = cast("tuple[TCPRoute, ...]", mesh.group(Kind.TCP_ROUTE, "all"))
    result = {problem for split in splits for problem in mesh.query(of_split, split)}
    refs = (*(target.ref for target in targets), *(route.ref for route in routes))
    result |= {Problem(ref, "", Reason.NOT_SUPPORTED, _NOT_YET) for ref in refs}
    return tuple(sorted(result))


def of_split(mesh: Mesh, split: TrafficSplit) -> tuple[Problem, ...]:
    """What is wrong with one split beside what its own text shows."""
    if not mesh.monitored(split.namespace):
        label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
        text = f"its namespace lacks the label {label}: the TrafficSplit has no effect"
        return (Problem(split.ref, "metadata.namespace", Reason.NOT_IN_MESH, text),)
    if split.closed:
        return ()
    root = mesh.service(split.namespace, split.root)
    if root is None:
        text = f"Service {split.namespace}/{split.root} does not exist: nothing is divided"
        return (Problem(split.ref, "spec.service", Reason.MISSING, text),)
    if not can_be_dialled(root):
        text = (
            f"Service {split.namespace}/{split.root} has no address of its own, and clients dial "
            "its pods: nothing is divided"
        )
        return (Problem(split.ref, "spec.service", Reason.NOT_ENFORCEABLE, text),)
    return (
        *_contested(mesh, split),
        *_matches(mesh, split, root),
        *_backends(mesh, split, root),
    )


def _contested(mesh: Mesh, split: TrafficSplit) -> Iterator[Problem]:
    oldest = unconditional(mesh.query(splits_of, split.namespace, split.root))
    if split.route_groups is None and oldest is not None and oldest != split:
        text = (
            f"TrafficSplit {oldest.label}, which is older, divides {split.root}: this one does not"
        )
        yield Problem(split.ref, "spec.service", Reason.CONFLICT, text)


def _matches(mesh: Mesh, split: TrafficSplit, root: Service) -> Iterator[Problem]:
    for name in split.route_groups or ():
        if mesh.get(Kind.HTTP_ROUTE_GROUP, split.namespace, name) is None:
            text = f"HTTPRouteGroup {split.namespace}/{name} does not exist: no request is meant"
            yield Problem(split.ref, "spec.matches", Reason.MISSING, text)
    for port in root.ports if split.route_groups is not None else ():
        if port.protocol is not Protocol.HTTP:
            text = f"port {port.port} of {split.root} is {port.protocol}, where no request is seen"
            yield Problem(
                split.ref, "spec.matches", Reason.NOT_ENFORCEABLE, f"{text}: not divided there"
            )


def _backends(mesh: Mesh, split: TrafficSplit, root: Service) -> Iterator[Problem]:
    left: dict[int, int] = {port.port: 0 for port in root.ports}
    for name, weight in split.backends:
        backend = mesh.service(split.namespace, name)
        service = f"Service {split.namespace}/{name}"
        if backend is None:
            text = f"{service} does not exist: it is left out"
            yield Problem(split.ref, "spec.backends", Reason.MISSING, text)
        elif not can_be_dialled(backend):
            text = f"{service} has no address of its own: it is left out"
            yield Problem(split.ref, "spec.backends", Reason.NOT_ENFORCEABLE, text)
        else:
            numbers = {port.port for port in backend.ports}
            for port in left:
                if port in numbers:
                    left[port] += weight
                else:
                    text = (
                        f"{service} has no port {port}, as {split.root} has: it is left out there"
                    )
                    yield Problem(split.ref, "spec.backends", Reason.MISSING, text)
    if closed := ", ".join(str(port) for port, weight in left.items() if not weight):
        text = f"no backend with a weight above 0 is left on port {closed} of {split.root}"
        effect = "requests get 503 there, and connections are closed"
        yield Problem(split.ref, "spec.backends", Reason.INVALID, f"{text}: {effect}")
