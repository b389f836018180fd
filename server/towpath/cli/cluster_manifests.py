"""A cluster as a folder of manifests: as it is, or as it would be with a folder's applied to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from towpath.kubeapi.client import KubeApi, KubeApiError, needing
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind
from towpath.sources.files.manifest import read_objects
from towpath.sources.files.walk import walk
from towpath.sources.kube.kinds import ApiResource, resources

Object = dict[str, Any]
Key = tuple[str, str, str, str]

PAGE = 500
"""Objects that an API server is asked for at once."""

FILE_BYTES = 4 << 20
"""About how long a file becomes: one that is much longer is not read."""


async def read_cluster(api: KubeApi, osm_namespace: str) -> list[Object]:
    """All objects that a mesh is made of. KubeApiError, also for a right that is missing."""
    return [item for one in resources(osm_namespace) for item in await _items(api, one)]


def applied(
    objects: Iterable[Object], folder: Path, osm_namespace: str, *, prune: bool = False
) -> list[Object]:
    """The cluster's objects after those of the folder were applied. What the folder does not have
    stays as it is; with *prune* policies of the namespaces that it speaks of go away.

    Of an object of Kubernetes' own the fields that a manifest does not state stay, such as the
    address of a Service; any other object is what the manifest says, in whole. What cannot be read
    of the folder is left out: look for it before.
    """
    custom = {one.collection.group for one in resources(osm_namespace) if one.custom}
    present = {_key(one): one for one in objects}
    manifests = [one for one in _manifests(folder) if isinstance(one, dict)]
    changed = []
    for manifest in manifests:
        before = present.get(_key(manifest))
        whole = before is None or _group(manifest) in custom
        changed.append(manifest if whole or before is None else _merged(before, manifest))
    keys = {_key(one) for one in manifests}
    absences = set[Key]()
    if prune:
        namespaces = {_speaks_of(one) for one in manifests}
        policies = {
            (one.collection.group, one.kind.value) for one in resources(osm_namespace) if one.custom
        } - {(COLLECTIONS[Kind.MESH_CONFIG].group, Kind.MESH_CONFIG.value)}
        absences = {key for key in present if key[:2] in policies and key[2] in namespaces}
    return [*(one for key, one in present.items() if key not in keys | absences), *changed]


def write_manifests(objects: Iterable[Object], folder: Path) -> None:
    """Write the objects to files of the folder."""
    texts, size, count = [], 0, 0
    for one in objects:
        text = json.dumps(one)
        texts.append(text)
        size += len(text)
        if size > FILE_BYTES:
            _write(texts, folder / f"cluster-{count}.json")
            texts, size, count = [], 0, count + 1
    _write(texts, folder / f"cluster-{count}.json")


def _write(texts: list[str], file: Path) -> None:
    items = ",\n".join(texts)
    file.write_text(f'{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}')


async def _items(api: KubeApi, resource: ApiResource) -> list[Object]:
    """Page by page; none if the kind is not installed."""
    items: list[Object] = []
    query = {**resource.selection, "limit": str(PAGE)}
    while True:
        request = api.get(resource.path, query)
        try:
            page = json.loads(await needing(request, resource.collection.grant("list")))
        except KubeApiError as error:
            if error.not_found and resource.custom:
                return []
            raise
        kind = str(page["kind"]).removesuffix("List")
        head = {"apiVersion": page["apiVersion"], "kind": kind}
        items += [{**head, **item} for item in page.get("items") or ()]
        rest = page["metadata"].get("continue")
        if not rest:
            return items
        query["continue"] = rest


def _manifests(folder: Path) -> list[object]:
    files = sorted(walk(folder).files)
    return [raw for name in files for raw, _ in read_objects(name, (folder / name).read_bytes())]


def _speaks_of(manifest: Object) -> str:
    """The namespace that an object is in, or is."""
    _, kind, namespace, name = _key(manifest)
    return name if kind == "Namespace" else namespace


def _key(one: Object) -> Key:
    """Group, kind, namespace and name. The version is none of it: it is the same object."""
    metadata = one.get("metadata")
    fields: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    kind = str(one.get("kind", ""))
    namespace = "" if kind == "Namespace" else str(fields.get("namespace") or "default")
    return _group(one), kind, namespace, str(fields.get("name", ""))


def _group(one: Object) -> str:
    return str(one.get("apiVersion", "")).rpartition("/")[0]


def _merged(before: Object, manifest: Object) -> Object:
    """RFC 7396, without its null."""
    merged = dict(before)
    for name, value in manifest.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged
