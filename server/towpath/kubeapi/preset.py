"""Preset: what the MeshConfig begins with, in a ConfigMap beside it.

`towpath install` makes the MeshConfig of it; where the manifests are applied without that command,
the first replica does. Nobody changes one that exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.meshconfig import MESH_CONFIG_NAME
from towpath.model.names import Kind

PRESET = "preset-mesh-config"
KEY = "preset-mesh-config.json"
CONFIGS = COLLECTIONS[Kind.MESH_CONFIG]


def first_mesh_config(namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The MeshConfig that has this spec; its label says that Towpath made it, and may remove it."""
    return {
        "apiVersion": CONFIGS.api_version,
        "kind": "MeshConfig",
        "metadata": {
            "name": MESH_CONFIG_NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "towpath"},
        },
        "spec": spec,
    }
