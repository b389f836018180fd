"""What cannot be planned, as Problems: the mesh as a whole, then each object."""

from __future__ import annotations

from typing import cast

from towpath.model.codes import Code
from towpath.model.identity import MtlsMode
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MESH_CONFIG_NAME
from towpath.model.names import Kind, ObjectRef
from towpath.model.ports import SIDECAR_PORTS
from towpath.model.problem import Problem
from towpath.model.workloads import EndpointSlice, Pod, Service
from towpath.planning.addresses import strangers
from towpath.planning.destinations import directory, mixed
from towpath.planning.egress.problems import egress_problems
from towpath.planning.egress.unused import unused
from towpath.planning.identity import MARK, has_authority, mode
from towpath.planning.inbound import (
    contested_limits,
    disagreements,
    inbound,
    oversized,
    unprobed,
)
from towpath.planning.inmesh.problems import in_mesh_problems
from towpath.planning.inmesh.splits import splits_of

_LISTED = 3
"""How many pods a Problem names."""


def problems(mesh: Mesh) -> tuple[Problem, ...]:
    """Every Problem that planning finds, sorted, each once."""
    result = {
        *mesh.query(policy_problems),
        *mesh.query(directory).problems,
    }
    for namespace in mesh.monitored_namespaces():
        result |= {*mesh.query(_unreachable, namespace), *mesh.query(_reserved, namespace)}
        result |= {*mesh.query(_mixed, namespace)}
    for slice_ in cast("tuple[EndpointSlice, ...]", mesh.group(Kind.ENDPOINT_SLICE, "all")):
        result |= {*mesh.query(_orphan, slice_), *mesh.query(strangers, slice_)}
    for pod in cast("tuple[Pod, ...]", mesh.group(Kind.POD, "all")):
        result |= {*mesh.query(disagreements, pod), *mesh.query(unprobed, pod)}
        result |= {*mesh.query(contested_limits, pod), *mesh.query(oversized, pod)}
    result |= {*mesh.query(_open)}
    return tuple(sorted(result))


def policy_problems(mesh: Mesh) -> tuple[Problem, ...]:
    """Those of the MeshConfig and of policies, each once."""
    result = {
        *_elsewhere(mesh),
        *_switches(mesh),
        *mesh.query(egress_problems),
        *mesh.query(unused),
        *mesh.query(in_mesh_problems),
    }
    return tuple(sorted(result))


def _switches(mesh: Mesh) -> tuple[Problem, ...]:
    ref = ObjectRef(Kind.MESH_CONFIG, mesh.osm_namespace, MESH_CONFIG_NAME)
    config = mesh.config()
    if config is None:
        text = "not found: every switch is off, in-mesh traffic included"
        return (Problem(ref, "", Code.MISSING_MESH_CONFIG, text),)
    result = []
    if config.external_authorization:
        field = "spec.traffic.inboundExternalAuthorization"
        text = (
            "external authorization is not supported by this version: as nobody can be asked, "
            "sidecars let nothing in but the kubelet's probes; set enable to false"
        )
        result.append(Problem(ref, field, Code.EXTERNAL_AUTHORIZATION, text))
    return tuple(result)


def _elsewhere(mesh: Mesh) -> tuple[Problem, ...]:
    text = f"only the MeshConfig in namespace {mesh.osm_namespace} counts; this one is not used"
    return tuple(
        Problem(
            ObjectRef(Kind.MESH_CONFIG, mesh_config.namespace, mesh_config.name),
            "metadata.namespace",
            Code.MISPLACED_MESH_CONFIG,
            text,
        )
        for mesh_config in mesh.group(Kind.MESH_CONFIG, "all")
        if mesh_config.namespace != mesh.osm_namespace
    )


def _reserved(mesh: Mesh, namespace: str) -> tuple[Problem, ...]:
    ports = ", ".join(map(str, sorted(SIDECAR_PORTS)))
    return tuple(
        Problem(
            service.ref,
            "spec.ports",
            Code.SIDECAR_PORT,
            f"target port {port.target_port} is one of the sidecar's own ({ports}): not opened",
        )
        for service in mesh.services(namespace)
        for port in service.ports
        if port.target_port in SIDECAR_PORTS
    )


def _unreachable(mesh: Mesh, namespace: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            service.ref,
            "spec.selector",
            Code.SERVICE_WITHOUT_ENDPOINTS,
            "no selector, and no EndpointSlice names this Service: nothing can answer for it",
        )
        for service in mesh.services(namespace)
        if not service.selector
        and not mesh.slices(namespace, service.name)
        and not mesh.query(splits_of, namespace, service.name)
    )


def _orphan(mesh: Mesh, slice_: EndpointSlice) -> tuple[Problem, ...]:
    if not mesh.monitored(slice_.namespace) or _known(mesh, slice_):
        return ()
    text = f"Service {slice_.namespace}/{slice_.service} does not exist; its endpoints are not used"
    field = "metadata.labels[kubernetes.io/service-name]"
    return (Problem(slice_.ref, field, Code.SLICE_WITHOUT_SERVICE, text),)


def _mixed(mesh: Mesh, namespace: str) -> tuple[Problem, ...]:
    services = mesh.services(namespace)
    return tuple(problem for one in services for problem in mesh.query(mixed, one))


def _open(mesh: Mesh) -> tuple[Problem, ...]:
    """Where plaintext comes in although it is meant to be refused."""
    strict = [
        one for one in mesh.monitored_namespaces() if mesh.query(mode, one) is MtlsMode.STRICT
    ]
    if not strict:
        return ()
    if not mesh.query(has_authority):
        text = "mutual TLS is strict here, but there is no certificate authority: all is plaintext"
        refs = [ObjectRef(Kind.NAMESPACE, "", name) for name in strict]
        return tuple(Problem(ref, "", Code.STRICT_IN_PLAINTEXT, text) for ref in refs)
    names: dict[str, list[str]] = {}
    for pod in cast("tuple[Pod, ...]", mesh.group(Kind.POD, "all")):
        if pod.namespace in strict and mesh.query(_takes_plaintext, pod):
            names.setdefault(pod.namespace, []).append(pod.name)
    return tuple(_unmarked(namespace, pods) for namespace, pods in names.items())


def _takes_plaintext(mesh: Mesh, pod: Pod) -> bool:
    let_in = mesh.query(inbound, pod)
    return let_in.mtls is None and any(port.probes is None for port in let_in.ports)


def _unmarked(namespace: str, pods: list[str]) -> Problem:
    more = f" and {len(pods) - _LISTED} more" if len(pods) > _LISTED else ""
    text = (
        f"mutual TLS is strict here, but Pod {', '.join(pods[:_LISTED])}{more} has no label "
        f'{MARK[0]}: "{MARK[1]}", so its sidecar lets in plaintext'
    )
    ref = ObjectRef(Kind.NAMESPACE, "", namespace)
    return Problem(ref, "", Code.STRICT_IN_PLAINTEXT, text)


def _known(mesh: Mesh, slice_: EndpointSlice) -> Service | None:
    return mesh.service(slice_.namespace, slice_.service)
