"""Commands that read a folder of manifests: the options, the reading, the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from towpath.app import Offline
from towpath.settings import MeshSettings
from towpath.sources import SourceError

MESH = (
    "manifests",
    "mesh_name",
    "osm_namespace",
    "cross_namespace_egress",
    "outside_endpoints",
    "shadow_targets",
)
OR_ELSE = ", or --server, or a kubeconfig of a cluster"
ONE_ANSWERS = "a running server answers by its own settings"


def offline(manifests: Path | None, *, or_else: str = "", **mesh: Any) -> Offline:
    """Read the folder, or say what is wrong with the option; *mesh* are settings of the mesh.

    *or_else* names what may be given in place of a folder.
    """
    return _read(manifests, or_else, MeshSettings(**mesh), repository=False)


def repository(manifests: Path | None, *, or_else: str = "", **mesh: Any) -> Offline:
    """The same of a folder that lacks what a cluster makes: it is assumed."""
    return _read(manifests, or_else, MeshSettings(**mesh), repository=True)


def _read(manifests: Path | None, or_else: str, mesh: MeshSettings, *, repository: bool) -> Offline:
    if manifests is None:
        raise click.UsageError(f"--manifests is not set: give the folder to read{or_else}")
    try:
        return Offline(manifests, mesh, repository=repository)
    except SourceError as error:
        raise click.UsageError(str(error)) from error
