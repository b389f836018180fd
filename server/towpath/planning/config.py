"""The mesh-wide switches that hold now; without a MeshConfig every one is off."""

from __future__ import annotations

from towpath.model.identity import TlsParameters
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MeshConfig


def config(mesh: Mesh) -> MeshConfig:
    return mesh.config() or MeshConfig()


def tls_parameters(mesh: Mesh) -> TlsParameters:
    """How sidecars speak TLS to each other."""
    return config(mesh).tls
