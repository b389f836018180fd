"""Taking over what another mesh has left: an object replaced by ours, and with it whose it is."""

from __future__ import annotations

import json
from typing import Any

from towpath.install.objects import MANAGER, apply, listed, path, title
from towpath.install.packaged import Document
from towpath.install.survey import DEFINITION, Conflict
from towpath.kubeapi.client import KubeApi
from towpath.kubeapi.paths import Collection


async def take_over(api: KubeApi, document: Document, record: Any) -> None:
    """Replace *record*, as it was read, by *document*; Conflict if that would lose objects.

    A definition keeps its objects: those that are stored in versions that ours does not have are
    stored anew before.
    """
    if document["kind"] == DEFINITION:
        record = await _store_anew(api, document, record)
    metadata = {
        **document["metadata"],
        "uid": record["metadata"]["uid"],
        "resourceVersion": record["metadata"]["resourceVersion"],
        # One empty entry is how the API server is told to forget who wrote what.
        "managedFields": [{}],
    }
    await _put(api, path(document), {**document, "metadata": metadata})
    await apply(api, document)


async def _store_anew(api: KubeApi, document: Document, record: Any) -> Any:
    """The definition, once all its objects are stored in a version that ours has.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#upgrade-existing-objects-to-a-new-stored-version
    """
    ours = {one["name"] for one in document["spec"]["versions"]}
    stored = (record.get("status") or {}).get("storedVersions") or []
    if set(stored) <= ours:
        return record
    (storage,) = (one["name"] for one in record["spec"]["versions"] if one["storage"])
    if storage not in ours:
        text = f"{title(document)} stores version {storage}, and Towpath has {', '.join(ours)}"
        raise Conflict(f"{text}: store its objects in another version first")
    # Its conversion webhook may be gone with its mesh; between its versions only the name differs.
    plain = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
    await api.merge(path(document), plain, manager=MANAGER)
    spec = record["spec"]
    collection = Collection(f"{spec['group']}/{storage}", spec["names"]["plural"])
    for item in await listed(api, collection, {}):
        where = item["metadata"]
        await _put(api, collection.path(where.get("namespace", ""), where["name"]), item)
    status = {"status": {"storedVersions": [storage]}}
    return json.loads(await api.merge(f"{path(document)}/status", status, manager=MANAGER))


async def _put(api: KubeApi, where: str, body: Document) -> None:
    await api.write("PUT", where, body, query={"fieldManager": MANAGER})
