"""Decide: does a pod get a sidecar?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from towpath.inject.names import INJECTION, SWITCH_WORDS, switch
from towpath.inject.refusal import Refused
from towpath.model.workloads import Namespace
from towpath.sources.decode.findings import show

SYSTEM_NAMESPACES = ("kube-system", "kube-public")
_OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
_WINDOWS = "windows"


class Reason(Enum):
    """Why a pod gets no sidecar; the value is for people."""

    OWN_NAMESPACE = "its namespace is the control plane's own"
    SYSTEM_NAMESPACE = "its namespace is Kubernetes' own"
    NOT_MONITORED = "its namespace is not in the mesh"
    IGNORED = "its namespace has the label openservicemesh.io/ignore"
    HOST_NETWORK = "it is in the network of its node (hostNetwork)"
    WINDOWS = "it runs on Windows"
    POD_DISABLED = f"its annotation {INJECTION} says so"
    NAMESPACE_DISABLED = f"the annotation {INJECTION} of its namespace says so"
    NOT_ENABLED = f"neither it nor its namespace has the annotation {INJECTION}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Injected, or left alone because of `reason`.

    `surprising` is true where somebody may have expected a sidecar all the same.
    """

    reason: Reason | None = None

    @property
    def injects(self) -> bool:
        return self.reason is None

    @property
    def surprising(self) -> bool:
        return self.reason in (Reason.HOST_NETWORK, Reason.WINDOWS)


def decide(
    pod: Mapping[str, Any], namespace: Namespace, *, mesh_name: str, osm_namespace: str
) -> Decision:
    """Raises Refused if an annotation that matters means neither yes nor no."""
    reason = (
        _of_namespace(namespace, mesh_name, osm_namespace)
        or _unwanted(pod.get("metadata", {}).get("annotations") or {}, namespace)
        or _of_pod(pod.get("spec", {}))
    )
    return Decision(reason)


def _of_namespace(namespace: Namespace, mesh_name: str, osm_namespace: str) -> Reason | None:
    if namespace.name == osm_namespace:
        return Reason.OWN_NAMESPACE
    if namespace.name in SYSTEM_NAMESPACES:
        return Reason.SYSTEM_NAMESPACE
    if namespace.mesh != mesh_name:
        return Reason.NOT_MONITORED
    return Reason.IGNORED if namespace.ignored else None


def _of_pod(spec: Mapping[str, Any]) -> Reason | None:
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    return Reason.WINDOWS if _on_windows(spec) else None


def _on_windows(spec: Mapping[str, Any]) -> bool:
    system = (spec.get("os") or {}).get("name")
    labels = spec.get("nodeSelector") or {}
    return _WINDOWS in (system, *(labels.get(label) for label in _OS_LABELS))


def _unwanted(annotations: Mapping[str, str], namespace: Namespace) -> Reason | None:
    """The pod's own word wins over that of its namespace; without any there is no sidecar."""
    own = annotations.get(INJECTION)
    if own is not None:
        return None if _switch(own, "the pod") else Reason.POD_DISABLED
    common = namespace.annotation(INJECTION)
    if common is None:
        return Reason.NOT_ENABLED
    wanted = _switch(common, f"namespace {namespace.name}")
    return None if wanted else Reason.NAMESPACE_DISABLED


def _switch(text: str, whose: str) -> bool:
    meaning = switch(text)
    if meaning is None:
        raise Refused(f"annotation {INJECTION} of {whose} is {show(text)}: allowed: {SWITCH_WORDS}")
    return meaning
