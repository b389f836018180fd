"""Survey: pods of the mesh that should have a sidecar, and have none, or another version's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath import __version__
from towpath.inject.decide import decide
from towpath.inject.names import BOOTSTRAP, MARK, VERSION
from towpath.inject.refusal import Refused
from towpath.inject.shape import checked
from towpath.install.check import Finding, Verdict
from towpath.install.installed import find
from towpath.install.objects import listed
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind
from towpath.model.workloads import Namespace
from towpath.settings import MeshSettings
from towpath.sources.decode import decode
from towpath.sources.decode.core import ENDED, MONITORED_BY

SUBJECT = "injection"


async def survey(api: KubeApi, osm_namespace: str) -> Finding:
    """What a person finds who looks at each pod of the mesh of that installation."""
    installation = await find(api, osm_namespace)
    mesh = MeshSettings() if installation is None else installation.values
    selector = {"labelSelector": f"{MONITORED_BY}={mesh.mesh_name}"}
    wrong, count = [], 0
    try:
        for raw in await listed(api, COLLECTIONS[Kind.NAMESPACE], selector):
            namespace = decode({"apiVersion": "v1", "kind": "Namespace", **raw}, "").value
            assert isinstance(namespace, Namespace)
            for pod in await listed(api, COLLECTIONS[Kind.POD], {}, namespace=namespace.name):
                fault = _fault(pod, namespace, mesh.mesh_name, osm_namespace)
                count += fault is not None
                if fault:
                    wrong.append(f"{namespace.name}/{pod['metadata']['name']} {fault}")
    except KubeApiError as error:
        if not error.forbidden:
            raise
        return Finding(SUBJECT, Verdict.UNKNOWN, f"you may not look at pods: {error}")
    if wrong:
        text = f"{len(wrong)} of {count} pods are not injected by this version: create them again"
        return Finding(SUBJECT, Verdict.BAD, text, tuple(wrong))
    return Finding(SUBJECT, Verdict.OK, f"{count} pods, each injected by this version")


def _fault(
    pod: Mapping[str, Any], namespace: Namespace, mesh_name: str, osm_namespace: str
) -> str | None:
    """What is wrong with a pod, "" if nothing; None for one that is to have no sidecar."""
    if (pod.get("status") or {}).get("phase") in ENDED:
        return None
    try:
        decision = decide(checked(pod), namespace, mesh_name=mesh_name, osm_namespace=osm_namespace)
    except Refused as error:
        return f"would be refused: {error}"
    if not decision.injects:
        return None
    metadata = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    if MARK not in (metadata.get("labels") or {}) or BOOTSTRAP not in annotations:
        return "has no sidecar"
    version = annotations.get(VERSION, "")
    return "" if version == __version__ else f"was injected by version {version or 'unknown'}"
