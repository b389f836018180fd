"""Objects of a cluster: where each is on the API server, and what one request says of it."""

from __future__ import annotations

import json
from typing import Any

from towpath.install.packaged import Document
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.paths import Collection, collection

MANAGER = "towpath-install"


def stub(api_version: str, kind: str, name: str, namespace: str = "") -> Document:
    """As much of an object as it takes to find it."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def path(document: Document) -> str:
    metadata = document["metadata"]
    return _collection(document).path(metadata.get("namespace", ""), metadata["name"])


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
        if error.not_found:
            return None
        raise


async def listed(
    api: KubeApi, collection: Collection, query: dict[str, str], *, namespace: str = ""
) -> list[Any]:
    """The objects of one namespace, or of all."""
    answer = json.loads(await api.get(collection.path(namespace), query))
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


async def create(api: KubeApi, document: Document) -> bool:
    """Create it; false if there is one of its name already."""
    metadata = document["metadata"]
    where = _collection(document).path(metadata.get("namespace", ""))
    try:
        await api.write("POST", where, document, query={"fieldManager": MANAGER})
    except KubeApiError as error:
        if error.conflict:
            return False
        raise
    return True


async def delete(api: KubeApi, record: Any) -> bool:
    """Delete the same object that was read; false if it is gone, or another has its name."""
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": record["metadata"]["uid"]},
    }
    try:
        await api.write("DELETE", path(record), options, timeout_s=60)
    except KubeApiError as error:
        if error.not_found or error.conflict:
            return False
        raise
    return True


def _collection(document: Document) -> Collection:
    return collection(document["apiVersion"], document["kind"])
