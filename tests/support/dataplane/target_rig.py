"""A mesh for generated TrafficTargets: its server's ports, its callers, and what `explain` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from support.dataplane.mesh import Manifests
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.target_cases import BEHIND, CALLERS, FOREIGN, SERVER, Call, Case
from support.grants import Caller
from support.objects import mesh_of
from support.suggestions import explain_and_apply
from towpath.answers.explain_address import explain_address
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.sources.decode import decode

SERVICE = "10.96.0.20"

Document = dict[str, Any]


def close_and_open_ports(manifests: Manifests) -> None:
    """Switch permissive mode off, and give the service a port of every sort."""
    traffic = {"enablePermissiveTrafficPolicyMode": False}
    manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})
    ports = [
        {"name": f"p{port}", "port": port, "targetPort": target}
        | {"appProtocol": SERVER.ports[target]}
        for port, target in BEHIND.items()
    ]
    manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
    slices = [
        one
        for one in manifests.all("EndpointSlice")
        if one["metadata"]["labels"]["kubernetes.io/service-name"] == "bookstore"
    ]
    of_slice = [
        {"name": f"p{port}", "port": target, "protocol": "TCP"} for port, target in BEHIND.items()
    ]
    for one in slices:
        manifests.patch("EndpointSlice", one["metadata"]["name"], {"ports": of_slice})


@contextmanager
def callers(rig: Rig) -> Iterator[None]:
    """Pods without a sidecar, at addresses of their own; `rig.network.control` has all of these."""
    rig.manifests.write("callers.yaml", *(_pod(n, one) for n, one in enumerate(CALLERS)))
    for address in FOREIGN:
        rig.network.control.ip("address", "add", f"{address}/24", "dev", "pods")
    yield
    for address in FOREIGN:
        rig.network.control.ip("address", "delete", f"{address}/24", "dev", "pods")


def explained(mesh: Mesh, caller: Caller, call: Call) -> bool:
    """Whether that account is allowed it; what is suggested otherwise is applied, and must help."""
    attempt = replace(call.attempt, address=SERVICE, port=dialled(call))
    account = Account(caller.namespace, caller.account)
    return explain_and_apply(mesh, account, attempt, ()).decision.allowed


def explained_by_address(mesh: Mesh, call: Call) -> bool:
    """Whether whoever has that address is allowed it at the pod itself."""
    attempt = replace(call.attempt, address=POD_ADDRESSES["bookstore-0"])
    return explain_address(mesh, IPv4Address(call.address), attempt, ()).decision.allowed


def dialled(call: Call) -> int:
    """The port of the service that leads to that of the pod."""
    return next(port for port, target in BEHIND.items() if target == call.port)


def mesh_with(rig: Rig, tried: Case) -> Mesh:
    """What the control plane knows: the folder as it is now."""
    kinds = ("Namespace", "MeshConfig", "Service", "EndpointSlice", "Pod", "ServiceAccount")
    documents = [*(one for kind in kinds for one in rig.manifests.all(kind)), *tried.documents]
    values = (decode(document, "case.yaml").value for document in documents)
    return mesh_of(*(value for value in values if value is not None), alone=True)


def _pod(number: int, caller: Caller) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"caller-{number}", "namespace": caller.namespace},
        "spec": {
            "serviceAccountName": caller.account,
            "hostNetwork": caller.host_network,
            "containers": [{"name": "app", "image": "app"}],
        },
        "status": {
            "phase": "Succeeded" if caller.finished else "Running",
            "podIP": caller.address,
        },
    }
