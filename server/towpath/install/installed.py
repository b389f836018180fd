"""An installation as a cluster has it: with which values, and what has become of its MeshConfig."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.install.objects import listed, read, stub
from towpath.install.ownership import LABEL, NAME
from towpath.install.packaged import Document
from towpath.install.values import Values
from towpath.kubeapi.client import KubeApi
from towpath.kubeapi.paths import COLLECTIONS, DEPLOYMENTS
from towpath.model.meshconfig import MESH_CONFIG_NAME as CONFIG
from towpath.model.names import Kind
from towpath.settings import MeshSettings

MESH_CONFIG = COLLECTIONS[Kind.MESH_CONFIG].api_version


@dataclass(frozen=True, slots=True)
class Installation:
    """A control plane: its values, and its Deployment."""

    values: Values
    deployment: Any

    @property
    def version(self) -> str:
        return self.values.image_tag

    @property
    def replicas(self) -> int:
        """How many there are to be."""
        return int(self.deployment["spec"].get("replicas", 1))

    @property
    def available(self) -> int:
        """How many of them are available."""
        return int((self.deployment.get("status") or {}).get("availableReplicas", 0))


def deployment(namespace: str) -> Document:
    return stub("apps/v1", "Deployment", NAME, namespace)


def mesh_config(namespace: str) -> Document:
    return stub(MESH_CONFIG, "MeshConfig", CONFIG, namespace)


async def find(api: KubeApi, namespace: str) -> Installation | None:
    """The installation in that namespace, whoever manages it."""
    record = await read(api, deployment(namespace))
    is_ours = record is not None and (record["metadata"].get("labels") or {}).get(LABEL) == NAME
    return _installation(record) if is_ours else None


async def find_all(api: KubeApi) -> list[Installation]:
    """Every installation of the cluster."""
    records = await listed(api, DEPLOYMENTS, {"labelSelector": f"{LABEL}={NAME}"})
    return [_installation(one) for one in records if one["metadata"]["name"] == NAME]


def _installation(record: Any) -> Installation:
    return Installation(values_of(record), record)


def values_of(record: Any) -> Values:
    """With which values a Deployment was made; those of the MeshConfig are not in it."""
    template = record["spec"]["template"]
    pod, labels = template["spec"], template["metadata"].get("labels") or {}
    (container,) = [one for one in pod["containers"] if one["name"] == NAME]
    variables = {one["name"]: one.get("value", "") for one in container.get("env", ())}
    repository, _, tag = container["image"].rpartition(":")
    return Values(
        mesh_name=variables.get("TOWPATH_MESH_NAME") or MeshSettings().mesh_name,
        osm_namespace=record["metadata"]["namespace"],
        image_registry=repository.rpartition("/")[0],
        image_tag=tag,
        pull_policy=container.get("imagePullPolicy", ""),
        pull_secrets=pod.get("imagePullSecrets") or (),
        replicas=record["spec"].get("replicas"),
        resource=container.get("resources") or {},
        pod_labels={name: text for name, text in labels.items() if name != LABEL},
        node_selector=pod.get("nodeSelector") or {},
        tolerations=pod.get("tolerations") or (),
        affinity=pod.get("affinity") or {},
        log_level=variables.get("TOWPATH_LOG_LEVEL", ""),
    )


def differing(config: Any, preset: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields that the MeshConfig has otherwise than *preset*: what it has, and what is wanted."""
    spec = config.get("spec") or {}
    differences = {}
    for path, expected in preset.items():
        present: Any = spec
        for name in path.split("."):
            present = present.get(name) if isinstance(present, dict) else None
        if present != expected:
            differences[path] = (present, expected)
    return differences


def patch_command(namespace: str, path: str, value: Any) -> str:
    """The command that sets that field of the MeshConfig's spec."""
    change: Any = value
    for name in reversed(("spec", *path.split("."))):
        change = {name: change}
    text = json.dumps(change, separators=(",", ":"))
    return f"kubectl patch meshconfig {CONFIG} -n {namespace} --type=merge -p '{text}'"
