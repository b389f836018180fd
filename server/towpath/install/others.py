"""Other control planes of the cluster, whose objects we must leave as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from towpath.install.objects import listed
from towpath.install.ownership import INSTANCE, LABEL, NAME
from towpath.kubeapi.client import KubeApi
from towpath.kubeapi.paths import DEPLOYMENTS

OSM, EDGE, FSM, OURS = "Open Service Mesh", "osm-edge", "Flomesh Service Mesh", "Towpath"
_LABELS = {"openservicemesh.io": OSM, "flomesh.io": FSM}
_PARTS = ("bootstrap", "controller", "injector")
_NAMES = {f"osm-{part}": OSM for part in _PARTS} | {f"fsm-{part}": FSM for part in _PARTS}
_QUERIES = (
    {"labelSelector": f"{LABEL} in ({', '.join((*_LABELS, NAME))})"},
    {"labelSelector": f"app in ({', '.join(_NAMES)})"},
    *({"fieldSelector": f"metadata.name={name}"} for name in _NAMES if "controller" in name),
)
"""What carries a product's label, what its parts are labelled with, and what has no label left."""


@dataclass(frozen=True, slots=True, order=True)
class ControlPlane:
    """One that is installed: of which product, where, for which mesh ("" if it does not say)."""

    namespace: str
    product: str
    mesh: str
    deployments: tuple[str, ...]

    def __str__(self) -> str:
        mesh = f" (mesh {self.mesh})" if self.mesh else ""
        return f"{self.product} in {self.namespace}{mesh}: Deployment {', '.join(self.deployments)}"


async def other_control_planes(api: KubeApi, namespace: str) -> list[ControlPlane]:
    """Every control plane of the cluster but the Towpath in *namespace*, sorted by namespace."""
    records: dict[tuple[str, str], Any] = {}
    for query in _QUERIES:
        for record in await listed(api, DEPLOYMENTS, query):
            metadata = record["metadata"]
            records[metadata["namespace"], metadata["name"]] = record
    return sorted(_grouped(records.values(), namespace))


def _grouped(records: Iterable[Any], namespace: str) -> Iterable[ControlPlane]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        metadata, product = record["metadata"], _product(record)
        if product == OURS and metadata["namespace"] == namespace:
            continue
        key = metadata["namespace"], product, _mesh(record, product)
        groups.setdefault(key, []).append(metadata["name"])
    for (where, product, mesh), names in groups.items():
        yield ControlPlane(where, product, mesh, tuple(sorted(names)))


def _product(record: Any) -> str:
    labels = record["metadata"].get("labels") or {}
    if labels.get(LABEL) == NAME:
        return OURS
    containers = record["spec"]["template"]["spec"]["containers"]
    if any("osm-edge" in container.get("image", "") for container in containers):
        return EDGE
    name = record["metadata"]["name"]
    return _LABELS.get(labels.get(LABEL, "")) or _NAMES.get(labels.get("app", name), OSM)


def _mesh(record: Any, product: str) -> str:
    if product == OURS:
        containers = record["spec"]["template"]["spec"]["containers"]
        variables = {v["name"]: v.get("value", "") for c in containers for v in c.get("env") or ()}
        return str(variables.get("TOWPATH_MESH_NAME", ""))
    labels = record["metadata"].get("labels") or {}
    return str(labels.get("meshName") or labels.get(INSTANCE) or "")
