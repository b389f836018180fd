"""Objects of a cluster: where each is on the API server, and what one request says of it."""

from __future__ import annotations

import json
from typing import Any

from towpath.install.packaged import Document
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.paths import Collection

MANAGER = "towpath-install"
_NOT_FOUND = 404
_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "Lease": "leases",
    "MeshConfig": "meshconfigs",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def stub(api_version: str, kind: str, name: str, namespace: str = "") -> Document:
    """As much of an object as it takes to find it."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def path(document: Document) -> str:
    metadata = document["metadata"]
    collection = Collection(document["apiVersion"], _PLURALS[document["kind"]])
    return collection.path(metadata.get("namespace", ""), metadata["name"])


def title(document: Document) -> str:
    """For people: the kind, and the name behind the namespace."""
    metadata = document["metadata"]
    namespace = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{document['kind']} {namespace}{metadata['name']}"


async def read(api: KubeApi, document: Document) -> Any:
    """The object as the cluster has it; None if it has not."""
    try:
        return json.loads(await api.get(path(document), {}))
    except KubeApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise


async def listed(api: KubeApi, collection: Collection, query: dict[str, str]) -> list[Any]:
    answer = json.loads(await api.get(collection.path(), query))
    items: list[Any] = answer.get("items") or []
    return items


async def apply(api: KubeApi, document: Document) -> str:
    """Apply it on the server; `created`, `changed` or `unchanged`."""
    before = await read(api, document)
    after = json.loads(await api.apply(path(document), document, manager=MANAGER))
    if before is None:
        return "created"
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return "unchanged" if same else "changed"


async def delete(api: KubeApi, document: Document) -> bool:
    """Delete it; false if there is none."""
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    try:
        await api.write("DELETE", path(document), options, timeout_s=60)
    except KubeApiError as error:
        if error.status == _NOT_FOUND:
            return False
        raise
    return True
