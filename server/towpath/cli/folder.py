"""Commands that read a folder of manifests: the options, the reading, the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from towpath.app import Offline
from towpath.model.text import printable
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
F = TypeVar("F", bound=Callable[..., Any])

OR_ELSE = ", or --server, or a kubeconfig of a cluster"
ONE_ANSWERS = "a running server answers by its own settings"


def as_served_option(command: F) -> F:
    """Add `--as-served`, for `read_folder`."""
    return click.option(
        "--as-served",
        is_flag=True,
        help="Assume nothing of a folder: take it as a server of this folder would, without a "
        "cluster's part.",
    )(command)


def read_folder(
    manifests: Path | None, *, as_served: bool, or_else: str = "", **mesh: Any
) -> Offline:
    """Read the folder: `offline` if *as_served*, else `repository`."""
    return (offline if as_served else repository)(manifests, or_else=or_else, **mesh)


def remark_assumptions(sides: Mapping[str, Offline]) -> None:
    """Say on standard error what was assumed of folders, each behind the name that it was typed
    by; once, if it is the same of all.
    """
    names: dict[str, list[str]] = {}
    for name, side in sides.items():
        for problem in side.assumptions():
            names.setdefault(problem.message, []).append(name)
    for message, of in names.items():
        where = f"{of[0]}: " if len(of) < len(sides) else ""
        click.echo(printable(f"assumed: {where}{message}"), err=True)


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
