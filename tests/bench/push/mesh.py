"""A folder of manifests whose sidecars have a given number of clusters, one of which can change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMESPACE = "shop"
ACCOUNTS = 10
CONFIG = "config.openservicemesh.io/v1alpha2"
SETTING = "first"
POLICY = "policy.openservicemesh.io/v1alpha1"
OTHER_CLUSTERS = 2
"""A sidecar's own, besides those of egress hosts: its blackhole and its admin interface."""


class Mesh:
    """Manifests of one namespace: pods of several accounts, and a cluster for each egress host."""

    def __init__(self, folder: Path, *, clusters: int, sidecars: int) -> None:
        self.nodes = [f"pod-{n}.{NAMESPACE}" for n in range(sidecars)]
        self.folder = folder
        self._limit = 0
        _write(folder / "mesh.json", [_namespace(), _mesh_config()])
        _write(folder / "pods.json", [_pod(n) for n in range(sidecars)])
        hosts = [f"host-{n}.example.org" for n in range(clusters - OTHER_CLUSTERS)]
        changing = [{"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": SETTING}]
        policies = [_egress("changing", hosts[:1], changing), _egress("others", hosts[1:], [])]
        _write(folder / "egress.json", policies)
        self.change()

    def change(self) -> None:
        """Change the cluster of one host: its limit of connections, to and fro."""
        self._limit = 101 - self._limit if self._limit else 100
        new = self.folder / "new"
        _write(new, [_setting("host-0.example.org", self._limit)])
        new.rename(self.folder / "setting.json")


def _write(path: Path, objects: Sequence[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def _namespace() -> dict[str, Any]:
    labels = {"openservicemesh.io/monitored-by": "osm"}
    return _object("v1", "Namespace", {"name": NAMESPACE, "labels": labels})


def _mesh_config() -> dict[str, Any]:
    spec = {
        "traffic": {"enablePermissiveTrafficPolicyMode": True},
        "featureFlags": {"enableEgressPolicy": True},
    }
    return _object(
        CONFIG, "MeshConfig", {"name": "osm-mesh-config", "namespace": "osm-system"}, spec=spec
    )


def _pod(number: int) -> dict[str, Any]:
    address = f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"
    return _object(
        "v1",
        "Pod",
        {"name": f"pod-{number}", "namespace": NAMESPACE},
        spec={"serviceAccountName": f"account-{number % ACCOUNTS}"},
        status={"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"},
    )


def _egress(name: str, hosts: Sequence[str], matches: list[Any]) -> dict[str, Any]:
    sources = [
        {"kind": "ServiceAccount", "name": f"account-{n}", "namespace": NAMESPACE}
        for n in range(ACCOUNTS)
    ]
    spec = {
        "sources": sources,
        "hosts": list(hosts),
        "ports": [{"number": 80, "protocol": "http"}],
        "matches": matches,
    }
    return _object(POLICY, "Egress", {"name": name, "namespace": NAMESPACE}, spec=spec)


def _setting(host: str, limit: int) -> dict[str, Any]:
    settings = {"tcp": {"maxConnections": limit}}
    return _object(
        POLICY,
        "UpstreamTrafficSetting",
        {"name": SETTING, "namespace": NAMESPACE},
        spec={"host": host, "connectionSettings": settings},
    )


def _object(api_version: str, kind: str, metadata: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
