"""TrafficTargets of the data-plane tests: who of namespace `curl` may call `bookstore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.dataplane.rig import Rig

Document = dict[str, Any]
SERVICE = "10.96.0.20"
"""The address of the Service `bookstore`."""


def group(name: str, path: str, methods: list[str] | None = None) -> Document:
    match = {"name": "only", "pathRegex": path, "methods": methods or ["*"]}
    return {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"matches": [match]},
    }


def ports_route(name: str, *ports: int) -> Document:
    return {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "TCPRoute",
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"matches": {"ports": list(ports)}},
    }


def target(
    name: str,
    source: str,
    rule: str,
    *,
    kind: str = "HTTPRouteGroup",
    source_namespace: str = "curl",
) -> Document:
    account = {"kind": "ServiceAccount", "name": source, "namespace": source_namespace}
    return {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "kind": "TrafficTarget",
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "bookstore"},
            "sources": [account],
            "rules": [{"kind": kind, "name": rule}],
        },
    }


def allow(rig: Rig, *documents: Mapping[str, Any]) -> None:
    rig.manifests.apply(*map(dict, documents))


def switch(rig: Rig, *, permissive: bool) -> None:
    """Set permissive mode in the MeshConfig."""
    traffic = {"enablePermissiveTrafficPolicyMode": permissive}
    rig.manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})


def ask(connection: Any) -> bytes:
    """The first line of the answer to one request on a connection that stays open."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: bookstore\r\n\r\n")
    return bytes(connection.recv(4096).partition(b"\r\n")[0])
