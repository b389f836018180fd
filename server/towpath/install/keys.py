"""Every key of `--set` and of the chart, by the names that Open Service Mesh's chart has for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.install.ownership import LABEL
from towpath.install.pod_values import (
    Affinity,
    Interface,
    Port,
    Range,
    Resource,
    SecretName,
    Toleration,
)
from towpath.model.meshconfig import LONGEST_VALIDITY_S, SHORTEST_VALIDITY_S
from towpath.settings import all_settings
from towpath.settings.source import MESH_NAME, MESH_NAME_WORDS

LOG_LEVELS = all_settings()["log_level"].choices
SIDECAR_LOG_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
LOCAL_PROXY_MODES = ("Localhost", "PodIP")
_DURATION = "^([0-9]+[hms])+$"
_REGISTRY = r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?$"
_TAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_PART = re.compile("([0-9]+)([hms])")
_UNITS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it sets (a field of Values, or with a dot of the MeshConfig's spec).

    `schema` is what is allowed, in the JSON schema of the chart's values. A key that has a
    structure has its type instead, and names that it must not have.
    """

    sets: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    allowed: str
    text: str
    structure: Any = None
    reserved: tuple[str, ...] = ()

    @property
    def in_preset(self) -> bool:
        return "." in self.sets


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _replicas(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100:
        raise ValueError(text)
    return count


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return read


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _duration(text: str) -> str:
    if not re.fullmatch(_DURATION, text):
        raise ValueError(text)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not SHORTEST_VALIDITY_S <= seconds <= LONGEST_VALIDITY_S:
        raise ValueError(text)
    return text


def _choice(sets: str, allowed: tuple[str, ...], text: str) -> Key:
    schema = {"enum": list(allowed)}
    return Key(sets, _one_of(allowed), schema, f"one of {', '.join(allowed)}", text)


def _switch(sets: str, text: str) -> Key:
    return Key(sets, _boolean, {"type": "boolean"}, "true or false", text)


def _name(sets: str, allowed: str, text: str) -> Key:
    return Key(sets, _text, {"type": "string", "minLength": 1}, allowed, text)


def _pattern(sets: str, pattern: str, allowed: str, text: str) -> Key:
    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(value)
        return value

    return Key(sets, read, {"type": "string", "pattern": pattern}, allowed, text)


def _structure(
    sets: str, structure: Any, allowed: str, text: str, *, reserved: tuple[str, ...] = ()
) -> Key:
    return Key(sets, str, {}, allowed, text, structure, reserved)


_RANGES = "IPv4 ranges, as {10.0.0.0/8,192.168.0.0/16}"
_PORTS = "ports, as {25,5432}"

KEYS: Mapping[str, Key] = {
    "osm.enableEgress": _switch(
        "traffic.enableEgress", "Everything that no policy governs may leave the mesh."
    ),
    "osm.enablePermissiveTrafficPolicy": _switch(
        "traffic.enablePermissiveTrafficPolicyMode",
        "Every service of the mesh may be reached from everywhere in it.",
    ),
    "osm.featureFlags.enableEgressPolicy": _switch(
        "featureFlags.enableEgressPolicy", "Egress policies have effect."
    ),
    "osm.featureFlags.enableIngressBackendPolicy": _switch(
        "featureFlags.enableIngressBackendPolicy", "IngressBackend policies have effect."
    ),
    "osm.featureFlags.enableRetryPolicy": _switch(
        "featureFlags.enableRetryPolicy", "Retry policies have effect."
    ),
    "osm.sidecarLogLevel": _choice(
        "sidecar.logLevel", SIDECAR_LOG_LEVELS, "How much sidecars log."
    ),
    "osm.sidecarImage": _name(
        "sidecar.sidecarImage", "an image", "Image of the sidecar; by default this version's."
    ),
    "osm.localProxyMode": _choice(
        "sidecar.localProxyMode",
        LOCAL_PROXY_MODES,
        "Where a sidecar reaches its own application.",
    ),
    "osm.enablePrivilegedInitContainer": _switch(
        "sidecar.enablePrivilegedInitContainer", "Run the init container privileged."
    ),
    "osm.outboundPortExclusionList": _structure(
        "traffic.outboundPortExclusionList",
        list[Port],
        _PORTS,
        "Ports outside that pass by the sidecar.",
    ),
    "osm.inboundPortExclusionList": _structure(
        "traffic.inboundPortExclusionList",
        list[Port],
        _PORTS,
        "Own ports that pass by the sidecar.",
    ),
    "osm.outboundIPRangeExclusionList": _structure(
        "traffic.outboundIPRangeExclusionList",
        list[Range],
        _RANGES,
        "IPv4 ranges that pass by the sidecar.",
    ),
    "osm.outboundIPRangeInclusionList": _structure(
        "traffic.outboundIPRangeInclusionList",
        list[Range],
        _RANGES,
        "The only IPv4 ranges that go through the sidecar.",
    ),
    "osm.networkInterfaceExclusionList": _structure(
        "traffic.networkInterfaceExclusionList",
        list[Interface],
        "names of interfaces, as {eth1,net1}",
        "Network interfaces that pass by the sidecar.",
    ),
    "osm.certificateProvider.serviceCertValidityDuration": Key(
        "certificate.serviceCertValidityDuration",
        _duration,
        {"type": "string", "pattern": _DURATION},
        "10m to 720h",
        "How long a service account's certificate is valid.",
    ),
    "osm.meshName": _pattern("mesh_name", MESH_NAME, MESH_NAME_WORDS, "As --mesh-name."),
    "osm.osmNamespace": _pattern(
        "osm_namespace",
        _NAMESPACE,
        "a-z, 0-9 and '-', at most 63 characters",
        "As --osm-namespace.",
    ),
    "osm.image.registry": _pattern(
        "image_registry",
        _REGISTRY,
        "HOST or HOST/PATH, the host with :PORT or without",
        "Where the image is pulled from.",
    ),
    "osm.image.tag": _pattern(
        "image_tag",
        _TAG,
        "a tag: letters, digits, '_', '.' and '-', at most 128 characters",
        "Which image; by default this version's.",
    ),
    "osm.image.pullPolicy": _choice("pull_policy", PULL_POLICIES, "When the image is pulled."),
    "osm.imagePullSecrets": _structure(
        "pull_secrets",
        list[SecretName],
        "a list of names: [0].name=…",
        "Secrets of its namespace with which the control plane's image is pulled.",
    ),
    "osm.osmController.replicaCount": Key(
        *("replicas", _replicas, {"type": "integer", "minimum": 1, "maximum": 100}, "1 to 100"),
        "How many replicas of the control plane run.",
    ),
    "osm.osmController.resource": _structure(
        "resource",
        Resource,
        "requests and limits of cpu and memory, such as .limits.cpu=2",
        "What the control plane's container requests, and may have at most.",
    ),
    "osm.osmController.podLabels": _structure(
        "pod_labels",
        dict[str, str],
        f"labels, but for {LABEL}",
        "Further labels of the control plane's pods.",
        reserved=(LABEL,),
    ),
    "osm.osmController.nodeSelector": _structure(
        "node_selector",
        dict[str, str],
        "labels of nodes",
        "On which nodes the control plane's pods run.",
    ),
    "osm.osmController.tolerations": _structure(
        "tolerations",
        list[Toleration],
        "a list of key, operator (Exists, Equal), value, effect (NoSchedule, PreferNoSchedule, "
        "NoExecute) and tolerationSeconds",
        "Which taints of nodes the control plane's pods put up with.",
    ),
    "osm.osmController.affinity": _structure(
        "affinity",
        Affinity,
        "nodeAffinity, podAffinity and podAntiAffinity, as Kubernetes has them",
        "Which nodes the control plane's pods want, and beside which pods.",
    ),
    "osm.controllerLogLevel": _choice("log_level", LOG_LEVELS, "How much the control plane logs."),
}

_CONTROLLER = "the control plane injects: see osm.osmController"
_MONITORING = "Towpath brings none: deploy/overlays/monitoring has rules for yours"
_MESH_CONFIG = "it has no effect: see the MeshConfig"
ELSEWHERE: Mapping[str, str] = {
    "osm.injector": _CONTROLLER,
    "osm.osmBootstrap": _CONTROLLER,
    "osm.osmController.enablePodDisruptionBudget": "there always is one",
    "osm.injector.enablePodDisruptionBudget": "there always is one",
    "osm.osmController.autoScale": "deploy/overlays/production has an autoscaler",
    "osm.controlPlaneTolerations": "it is osm.osmController.tolerations",
    "osm.envoyLogLevel": "it is osm.sidecarLogLevel",
    "osm.sidecarClass": "an Envoy is injected: see osm.sidecarImage",
    "osm.sidecarDrivers": "an Envoy is injected: see osm.sidecarImage",
    "osm.image.name": "there is one image: see osm.image.registry and osm.image.tag",
    "osm.image.digest": "there is one image: see osm.image.registry and osm.image.tag",
    "osm.enforceSingleMesh": "another mesh is refused, but for --allow-other-meshes",
    "osm.certificateProvider.kind": "the authority is the Secret towpath-ca",
    "osm.certificateProvider.certKeyBitSize": "keys are on the curve P-256",
    "osm.vault": "the authority is the Secret towpath-ca",
    "osm.certmanager": "the authority is the Secret towpath-ca",
    "osm.caBundleSecretName": "the authority is the Secret towpath-ca",
    "osm.deployPrometheus": _MONITORING,
    "osm.deployGrafana": _MONITORING,
    "osm.deployJaeger": _MONITORING,
    "osm.prometheus": _MONITORING,
    "osm.grafana": _MONITORING,
    "osm.tracing": _MONITORING,
    "osm.enableFluentbit": "Towpath logs to its standard output, in JSON",
    "osm.fluentBit": "Towpath logs to its standard output, in JSON",
    "osm.maxDataPlaneConnections": _MESH_CONFIG,
    "osm.configResyncInterval": _MESH_CONFIG,
    "contour": "Towpath brings no gateway",
    "smi": "TrafficTargets are always checked",
}
"""Keys of Open Service Mesh's and osm-edge's charts that are refused, and what there is instead."""
