"""Workloads: kinds that make pods, and where in them the pod is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEMPLATE = ("spec", "template")
PLACES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
}
_VERSIONS = ("v1", "apps/v1", "batch/v1")


def first_pod(workload: Mapping[str, Any]) -> dict[str, Any] | None:
    """A pod as the workload makes it, by the workload's own name; None if it makes none."""
    kind = workload.get("kind")
    place = PLACES.get(kind) if isinstance(kind, str) else None
    if not place or workload.get("apiVersion") not in _VERSIONS:
        return None
    pod: Any = workload
    for name in place:
        pod = pod.get(name) if isinstance(pod, dict) else None
    own, metadata = workload.get("metadata"), pod.get("metadata") if isinstance(pod, dict) else None
    if not isinstance(pod, dict) or not isinstance(own, dict):
        return None
    named = {name: own[name] for name in ("name", "namespace") if name in own}
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**named, "labels": labels},
        "spec": pod.get("spec"),
    }
