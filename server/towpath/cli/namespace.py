"""`towpath namespace`: which namespaces are in the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.cluster import cluster_options, mesh_name_option, namespace_option, on_cluster
from towpath.cli.complete import namespace_names
from towpath.cli.listing import Column, Listing, output_option, show, summary_of
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi

MONITORED = "openservicemesh.io/monitored-by"
INJECTION = "openservicemesh.io/sidecar-injection"
IGNORED = "openservicemesh.io/ignore"
MANAGER = "towpath-namespace"
_NAMESPACES = COLLECTIONS[Kind.NAMESPACE]

COLUMNS = (Column("NAMESPACE"), Column("MESH"), Column("SIDECAR-INJECTION"))

names_argument = click.argument(
    "names", nargs=-1, required=True, metavar="NAMESPACE...", shell_complete=namespace_names
)


@click.group()
def namespace() -> None:
    """Add namespaces to the mesh, remove them, or list them."""


@namespace.command()
@names_argument
@mesh_name_option
@namespace_option
@click.option(
    "--disable-sidecar-injection",
    is_flag=True,
    help="Mark that pods of the namespace get no sidecar.",
)
@cluster_options
def add(
    *,
    names: tuple[str, ...],
    mesh_name: str,
    osm_namespace: str,
    disable_sidecar_injection: bool,
    kubeconfig: Path,
    context: str,
) -> None:
    """Add namespaces to the mesh: the sidecars of their pods are served."""
    injection = "disabled" if disable_sidecar_injection else "enabled"
    change = _change(mesh_name, injection)
    if osm_namespace in names:
        text = f"{osm_namespace} is the control plane's own namespace: it cannot join a mesh"
        raise click.UsageError(text)

    async def act(api: KubeApi) -> None:
        await _refuse_mesh_of_another(api, mesh_name)
        labels_by_name = {name: await _labels(api, name) for name in names}
        for name, labels in labels_by_name.items():
            other = labels.get(MONITORED, mesh_name)
            if other != mesh_name:
                text = f"namespace {name} is in mesh {other}: remove it from there first"
                raise click.ClickException(text)
            if IGNORED in labels:
                text = f"namespace {name} has the label {IGNORED}: it must not be in a mesh"
                raise click.ClickException(text)
        for name in names:
            await api.merge(_NAMESPACES.path(name=name), change, manager=MANAGER)
            click.echo(f"{name} is in mesh {mesh_name}")

    on_cluster(kubeconfig, context, act)


@namespace.command()
@names_argument
@mesh_name_option
@cluster_options
def remove(*, names: tuple[str, ...], mesh_name: str, kubeconfig: Path, context: str) -> None:
    """Remove namespaces from the mesh: the sidecars of their pods are no longer served."""

    async def act(api: KubeApi) -> None:
        await _refuse_mesh_of_another(api, mesh_name)
        for name in names:
            mesh = (await _labels(api, name)).get(MONITORED)
            if mesh != mesh_name:
                where = f"in mesh {mesh}" if mesh else "in no mesh"
                raise click.ClickException(f"namespace {name} is {where}, not in {mesh_name}")
            await api.merge(_NAMESPACES.path(name=name), _change(None, None), manager=MANAGER)
            click.echo(f"{name} is no longer in mesh {mesh_name}")

    on_cluster(kubeconfig, context, act)


@namespace.command("list")
@click.option("--mesh-name", default="", help="Only the namespaces of this mesh.")
@cluster_options
@output_option
def list_(*, mesh_name: str, kubeconfig: Path, context: str, output: str) -> None:
    """List the namespaces that are in a mesh."""
    from towpath.install.objects import listed

    selector = f"{MONITORED}={mesh_name}" if mesh_name else MONITORED

    async def act(api: KubeApi) -> list[Any]:
        return await listed(api, _NAMESPACES, {"labelSelector": selector})

    show(lambda: _listing(on_cluster(kubeconfig, context, act)), output)


def _listing(records: list[Any]) -> Listing:
    namespaces = [
        {
            "name": one["metadata"]["name"],
            "mesh": one["metadata"]["labels"][MONITORED],
            "sidecarInjection": (one["metadata"].get("annotations") or {}).get(INJECTION),
        }
        for one in records
    ]
    return Listing(
        COLUMNS,
        [tuple(text or "-" for text in one.values()) for one in namespaces],
        [one["name"] for one in namespaces],
        {"namespaces": namespaces},
        summary=summary_of(len(namespaces), "namespace", {}),
    )


def _change(mesh: str | None, injection: str | None) -> dict[str, Any]:
    labels, annotations = {MONITORED: mesh}, {INJECTION: injection}
    return {"metadata": {"labels": labels, "annotations": annotations}}


async def _refuse_mesh_of_another(api: KubeApi, mesh: str) -> None:
    """ClickException if that mesh is another product's: its namespaces are not ours to change."""
    from towpath.install.others import OURS, other_control_planes

    for one in await other_control_planes(api, ""):
        if one.product != OURS and one.mesh in ("", mesh):
            text = f"mesh {mesh} may be another's: {one}"
            raise click.ClickException(f"{text}\nNothing was changed: give another --mesh-name.")


async def _labels(api: KubeApi, name: str) -> dict[str, str]:
    from towpath.install.objects import read, stub

    record = await read(api, stub("v1", "Namespace", name))
    if record is None:
        raise click.ClickException(f"there is no namespace {name}")
    labels: dict[str, str] = record["metadata"].get("labels") or {}
    return labels
