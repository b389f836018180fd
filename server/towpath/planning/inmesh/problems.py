"""What keeps an in-mesh policy, or a part of it, from having effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import HTTPRouteGroup
from towpath.model.inmesh import TCPRoute, TrafficSplit, TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, Protocol
from towpath.model.problem import Problem
from towpath.model.workloads import Service
from towpath.planning.inmesh.grants import grant_of, granted_requests
from towpath.planning.inmesh.ingress import ingress_problems
from towpath.planning.inmesh.limits import MOST_SHARES
from towpath.planning.inmesh.reachable import ports_behind
from towpath.planning.inmesh.retries import retry_problems
from towpath.planning.inmesh.settings import setting_problems
from towpath.planning.inmesh.splits import (
    can_be_dialled,
    closed_splits,
    splits_of,
    unconditional,
)

_PERMISSIVE = (
    "permissive mode is on (spec.traffic.enablePermissiveTrafficPolicyMode of the MeshConfig): "
    "everybody may call everything"
)


def in_mesh_problems(mesh: Mesh) -> tuple[Problem, ...]:
    """The Problems of every policy about what is called in the mesh, settings among them."""
    splits = cast("tuple[TrafficSplit, ...]", mesh.group(Kind.TRAFFIC_SPLIT, "all"))
    targets = cast("tuple[TrafficTarget, ...]", mesh.group(Kind.TRAFFIC_TARGET, "all"))
    routes = cast("tuple[TCPRoute, ...]", mesh.group(Kind.TCP_ROUTE, "all"))
    result = {problem for split in splits for problem in mesh.query(of_split, split)}
    result |= {problem for target in targets for problem in mesh.query(of_target, target)}
    result |= {
        Problem(route.ref, "", Code.UNUSED_OBJECT, "no TrafficTarget refers to it: no effect")
        for route in routes
        if not _is_ruled(mesh, Kind.TCP_ROUTE, route.namespace, route.name)
    }
    result |= {*setting_problems(mesh), *retry_problems(mesh), *ingress_problems(mesh)}
    return tuple(sorted(result))


def of_target(mesh: Mesh, target: TrafficTarget) -> tuple[Problem, ...]:
    """What is wrong with one target beside what its own text shows."""
    label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
    if not mesh.monitored(target.namespace):
        text = f"its namespace lacks the label {label}: the TrafficTarget has no effect"
        return (Problem(target.ref, "metadata.namespace", Code.POLICY_OUTSIDE_MESH, text),)
    return (
        *_sources(mesh, target, label),
        *_rules(mesh, target),
        *_in_force(mesh, target),
        *_of_no_use(mesh, target),
    )


def _sources(mesh: Mesh, target: TrafficTarget, label: str) -> Iterator[Problem]:
    for account in target.sources:
        if not mesh.monitored(account.namespace):
            text = f"namespace {account.namespace} lacks the label {label}: {account} gains nothing"
            yield Problem(target.ref, "spec.sources", Code.SOURCE_OUTSIDE_MESH, text)


def _rules(mesh: Mesh, target: TrafficTarget) -> Iterator[Problem]:
    for rule in target.rules:
        obj = mesh.get(rule.kind, target.namespace, rule.name)
        what = f"{rule.kind} {target.namespace}/{rule.name}"
        if obj is None:
            text = f"{what} does not exist: nothing of it is allowed"
            yield Problem(target.ref, "spec.rules", Code.MISSING_ROUTE, text)
        elif rule.matches is not None:
            names = cast("HTTPRouteGroup", obj).names
            for name in rule.matches:
                if name not in names:
                    text = f"{what} has no match {name!r}: nothing of it is allowed"
                    yield Problem(target.ref, "spec.rules", Code.MISSING_MATCH, text)


def _in_force(mesh: Mesh, target: TrafficTarget) -> Iterator[Problem]:
    switches = mesh.config()
    if switches is not None and switches.permissive:
        yield Problem(target.ref, "", Code.PERMISSIVE_MODE, _PERMISSIVE)


def _of_no_use(mesh: Mesh, target: TrafficTarget) -> Iterator[Problem]:
    """A target whose rules are there, but about no port that its destination has."""
    account = target.destination
    if account is None or target.closed or mesh.query(grant_of, target).empty:
        return
    ports = sorted({(one.number, one.protocol) for one in mesh.query(ports_behind, account)})
    if ports and all(granted_requests(mesh, target, *port) is None for port in ports):
        spoken = ", ".join(f"{number} ({protocol})" for number, protocol in ports)
        text = f"nothing is granted on the ports of {account}, which are {spoken}"
        yield Problem(target.ref, "spec.rules", Code.TARGET_WITHOUT_PORTS, text)


def _is_ruled(mesh: Mesh, kind: Kind, namespace: str, name: str) -> bool:
    """True if a target has a rule of that route object."""
    return bool(mesh.group(Kind.TRAFFIC_TARGET, ("rule", kind, namespace, name)))


def of_split(mesh: Mesh, split: TrafficSplit) -> tuple[Problem, ...]:
    """What is wrong with one split beside what its own text shows."""
    if not mesh.monitored(split.namespace):
        label = f"openservicemesh.io/monitored-by: {mesh.mesh_name}"
        text = f"its namespace lacks the label {label}: the TrafficSplit has no effect"
        return (Problem(split.ref, "metadata.namespace", Code.POLICY_OUTSIDE_MESH, text),)
    if split.closed:
        return ()
    root = mesh.service(split.namespace, split.root)
    if root is None:
        text = f"Service {split.namespace}/{split.root} does not exist: nothing is divided"
        return (Problem(split.ref, "spec.service", Code.MISSING_SERVICE, text),)
    if not can_be_dialled(root):
        text = (
            f"Service {split.namespace}/{split.root} has no address of its own, and clients dial "
            "its pods: nothing is divided"
        )
        return (Problem(split.ref, "spec.service", Code.SPLIT_WITHOUT_ADDRESS, text),)
    if split.name in mesh.query(closed_splits, split.namespace):
        text = (
            f"the TrafficSplits of namespace {split.namespace} come to more than {MOST_SHARES:,} "
            "shares, over all ports and requests: this one, among the largest, divides nothing"
        )
        return (Problem(split.ref, "spec", Code.LARGE_SPLIT, text),)
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
        yield Problem(split.ref, "spec.service", Code.CONFLICTING_SPLIT, text)


def _matches(mesh: Mesh, split: TrafficSplit, root: Service) -> Iterator[Problem]:
    for name in split.route_groups or ():
        if mesh.get(Kind.HTTP_ROUTE_GROUP, split.namespace, name) is None:
            text = f"HTTPRouteGroup {split.namespace}/{name} does not exist: no request is meant"
            yield Problem(split.ref, "spec.matches", Code.MISSING_ROUTE, text)
    for port in root.ports if split.route_groups is not None else ():
        if port.protocol is not Protocol.HTTP:
            text = f"port {port.port} of {split.root} is {port.protocol}, where no request is seen"
            yield Problem(
                split.ref, "spec.matches", Code.SPLIT_WITHOUT_REQUESTS, f"{text}: not divided there"
            )


def _backends(mesh: Mesh, split: TrafficSplit, root: Service) -> Iterator[Problem]:
    left: dict[int, int] = {port.port: 0 for port in root.ports}
    for name, weight in split.backends:
        backend = mesh.service(split.namespace, name)
        service = f"Service {split.namespace}/{name}"
        if backend is None:
            text = f"{service} does not exist: it is left out"
            yield Problem(split.ref, "spec.backends", Code.MISSING_SERVICE, text)
        elif not can_be_dialled(backend):
            text = f"{service} has no address of its own: it is left out"
            yield Problem(split.ref, "spec.backends", Code.SPLIT_WITHOUT_ADDRESS, text)
        else:
            numbers = {port.port for port in backend.ports}
            for port in left:
                if port in numbers:
                    left[port] += weight
                else:
                    text = (
                        f"{service} has no port {port}, as {split.root} has: it is left out there"
                    )
                    yield Problem(split.ref, "spec.backends", Code.MISSING_SERVICE, text)
    if closed := ", ".join(str(port) for port, weight in left.items() if not weight):
        text = f"no backend with a weight above 0 is left on port {closed} of {split.root}"
        effect = "requests get 503 there, and connections are closed"
        yield Problem(split.ref, "spec.backends", Code.SPLIT_WITHOUT_BACKEND, f"{text}: {effect}")
