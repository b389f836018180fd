"""The containers and the volume that a pod gets, as Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.inject.names import (
    BOOTSTRAP,
    CREDENTIAL,
    INIT_CONTAINER,
    POD_IP_CONTAINER,
    REDIRECT,
    SIDECAR_CONTAINER,
    VOLUME,
)
from towpath.inject.redirect import SIDECAR_UID, to_pod_ip
from towpath.model.ports import PROMETHEUS_PORT

FOLDER = "/run/towpath"
TOKEN, AUDIENCE, TOKEN_S = "token", "towpath", 3600
DRAIN_S = 30
"""How long connections may live on that are no longer allowed."""
THREADS = 2
FILES = {BOOTSTRAP: "bootstrap.json", CREDENTIAL: "credential.json", REDIRECT: "redirect.rules"}
"""The file in the volume that each annotation becomes."""

_STARTS_WITHIN_S = 120
_WAIT = "--wait=10"
_MOUNT = {"name": VOLUME, "mountPath": FOLDER, "readOnly": True}

Part = dict[str, Any]


def init_container(image: str, *, privileged: bool) -> Part:
    """It sets the redirect before anything else of the pod runs; no shell sees the rules."""
    rules = f"{FOLDER}/{FILES[REDIRECT]}"
    command = ["iptables-restore", "--noflush", _WAIT, rules]
    return _init(INIT_CONTAINER, image, command, privileged=privileged)


def pod_ip_container(image: str, *, privileged: bool) -> Part:
    """It leads the sidecar to the application at the pod's address, which only a kubelet knows."""
    command = ["iptables", _WAIT, *to_pod_ip("$(POD_IP)")]
    part = _init(POD_IP_CONTAINER, image, command, privileged=privileged)
    return {**part, "env": [*part["env"], _field("POD_IP", "status.podIP")]}


def _init(name: str, image: str, command: list[str], *, privileged: bool) -> Part:
    rights: Part = {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    return {
        "name": name,
        "image": image,
        "command": command,
        # The file system is read-only, and /run with it.
        "env": [{"name": "XTABLES_LOCKFILE", "value": "/dev/shm/xtables.lock"}],  # noqa: S108
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
        "securityContext": {
            "privileged": privileged,
            "allowPrivilegeEscalation": privileged,
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "readOnlyRootFilesystem": True,
            "capabilities": rights,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [_MOUNT],
    }


def sidecar(image: str, *, log_level: str, resources: Mapping[str, Mapping[str, str]]) -> Part:
    """Envoy, as a sidecar of Kubernetes: it starts before the application, and ends after it."""
    open_port = {"tcpSocket": {"port": PROMETHEUS_PORT}, "periodSeconds": 1}
    return {
        "name": SIDECAR_CONTAINER,
        "image": image,
        "restartPolicy": "Always",
        "args": [
            *("--config-path", f"{FOLDER}/{FILES[BOOTSTRAP]}"),
            *("--service-node", "$(POD_NAME).$(POD_NAMESPACE)"),
            *("--log-level", log_level),
            *("--concurrency", str(THREADS)),
            *("--drain-time-s", str(DRAIN_S)),
        ],
        "env": [_field("POD_NAME", "metadata.name"), _field("POD_NAMESPACE", "metadata.namespace")],
        "ports": [{"name": "envoy-metrics", "containerPort": PROMETHEUS_PORT, "protocol": "TCP"}],
        # The port is open once the sidecar has taken what the control plane sent.
        "startupProbe": {**open_port, "failureThreshold": _STARTS_WITHIN_S},
        "readinessProbe": {**open_port, "periodSeconds": 10},
        "resources": {kind: dict(amounts) for kind, amounts in resources.items()},
        "securityContext": {
            # The redirect lets this user's own packets pass.
            "runAsUser": SIDECAR_UID,
            "runAsGroup": SIDECAR_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [_MOUNT],
    }


def volume(annotations: tuple[str, ...]) -> Part:
    """The token that the sidecar logs in with, and the pod's own *annotations* as files."""
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_S, "path": TOKEN}
    items = [
        {"path": FILES[name], "fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}}
        for name in annotations
    ]
    sources = [{"serviceAccountToken": token}, {"downwardAPI": {"items": items}}]
    return {"name": VOLUME, "projected": {"sources": sources}}


def _field(name: str, path: str) -> Part:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
