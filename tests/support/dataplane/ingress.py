"""IngressBackends, and a gateway outside the mesh."""

from __future__ import annotations

from typing import Any

from support.dataplane.hosts import APP_PORT
from support.dataplane.mesh import Manifests
from support.dataplane.network import ROUTER

Document = dict[str, Any]


def backend(*sources: Document, protocol: str = "http") -> Document:
    port = {"number": APP_PORT, "protocol": protocol}
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "IngressBackend",
        "metadata": {"name": "outside", "namespace": "bookstore"},
        "spec": {"backends": [{"name": "bookstore", "port": port}], "sources": list(sources)},
    }


def gateway() -> tuple[Document, ...]:
    """A Service outside the mesh, whose one pod calls from the router's address."""
    metadata = {"name": "gateway", "namespace": "ingress"}
    pod = {"spec": {"containers": [{"name": "gateway"}]}, "status": {"podIP": ROUTER}}
    service = {"spec": {"clusterIP": "10.96.9.9", "ports": [{"port": 80}]}}
    labels = {"kubernetes.io/service-name": "gateway"}
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ROUTER]}],
        "ports": [{"port": 80}],
    }
    return (
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **service},
        slice_,
    )


def switches(manifests: Manifests, *, ingress: bool = True) -> None:
    """Permissive mode off, egress passthrough on, and IngressBackends as is said."""
    traffic = {"enablePermissiveTrafficPolicyMode": False, "enableEgress": True}
    flags = {"enableIngressBackendPolicy": ingress}
    change = {"spec": {"traffic": traffic, "featureFlags": flags}}
    manifests.patch("MeshConfig", "osm-mesh-config", change)
