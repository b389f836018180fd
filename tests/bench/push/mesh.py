"""A folder of manifests whose sidecars have a given number of clusters, one of which can change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NAMESPACE = "shop"
CONFIG = "config.openservicemesh.io/v1alpha2"
SETTING = "first"
POLICY = "policy.openservicemesh.io/v1alpha1"
BACKENDS = ("10.127.0.1", "10.127.0.2")
"""The pods behind every Service."""
OTHER_CLUSTERS = 2
"""A sidecar's own, besides those of Services: its blackhole and its admin interface."""


class Mesh:
    """Manifests of one namespace: pods of several accounts, and Services of one TCP port."""

    def __init__(self, folder: Path, *, clusters: int, sidecars: int, accounts: int = 10) -> None:
        self.nodes = [f"pod-{n}.{NAMESPACE}" for n in range(sidecars)]
        self.folder = folder
        self._limit = self._ready = 0
        _write(folder / "mesh.json", [_namespace(), _mesh_config()])
        pods = [_pod(f"pod-{n}", f"account-{n % accounts}", _address(n)) for n in range(sidecars)]
        pods += [_pod(f"backend-{n}", "backend", one) for n, one in enumerate(BACKENDS)]
        _write(folder / "pods.json", pods)
        services = range(clusters - OTHER_CLUSTERS)
        self.clusters = [f"{NAMESPACE}/service-{n}|80" for n in services]
        _write(folder / "services.json", [each for n in services for each in _service(n)])
        self.change()
        self.change_endpoint()

    def change(self) -> None:
        """Change the cluster of the first Service: its limit of connections, to and fro."""
        self._limit = 101 - self._limit if self._limit else 100
        self._replace("setting.json", _setting(f"service-0.{NAMESPACE}", self._limit))

    def change_endpoint(self) -> None:
        """One of the two endpoints of the first Service comes or goes."""
        self._ready = 1 + self._ready % 2
        self._replace("endpoints.json", _slice(0, self._ready))

    def _replace(self, name: str, one: dict[str, Any]) -> None:
        new = self.folder / "new"
        _write(new, [one])
        new.rename(self.folder / name)


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


def _address(number: int) -> str:
    return f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"


def _pod(name: str, account: str, address: str) -> dict[str, Any]:
    return _object(
        "v1",
        "Pod",
        {"name": name, "namespace": NAMESPACE},
        spec={"serviceAccountName": account},
        status={"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"},
    )


def _service(number: int) -> Iterator[dict[str, Any]]:
    """The Service, and its endpoints, which only the first one's file has."""
    address = f"10.96.{number // 256}.{number % 256}"
    port = {"name": "tcp", "port": 80, "appProtocol": "tcp", "targetPort": 8080}
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": [port]}
    yield _object("v1", "Service", {"name": f"service-{number}", "namespace": NAMESPACE}, spec=spec)
    if number:
        yield _slice(number, len(BACKENDS))


def _slice(number: int, ready: int) -> dict[str, Any]:
    return _object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        {
            "name": f"service-{number}",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": f"service-{number}"},
        },
        addressType="IPv4",
        ports=[{"name": "tcp", "port": 8080}],
        endpoints=[{"addresses": [one], "conditions": {"ready": True}} for one in BACKENDS[:ready]],
    )


def _setting(host: str, limit: int) -> dict[str, Any]:
    settings = {"tcp": {"maxConnections": limit}}
    return _object(
        POLICY,
        "UpstreamTrafficSetting",
        {"name": SETTING, "namespace": NAMESPACE},
        spec={"host": f"{host}.svc.cluster.local", "connectionSettings": settings},
    )


def _object(api_version: str, kind: str, metadata: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
