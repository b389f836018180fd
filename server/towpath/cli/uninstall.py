"""`towpath uninstall`: the control plane removed, and policies only if that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.install.manifests import manifests
from towpath.install.values import Values

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi


@click.command()
@click.argument("what", type=click.Choice(("mesh",)), default="mesh")
@cluster_options
@namespace_option
@click.option("--force", "-f", is_flag=True, help="Do not ask.")
@click.option(
    *("--delete-cluster-wide-resources", "-a", "everywhere"),
    is_flag=True,
    help="Delete the definitions too, and with them every policy in every namespace.",
)
@click.option("--delete-namespace", is_flag=True, help="Delete the control plane's namespace too.")
def uninstall(
    *,
    what: str,
    kubeconfig: Path,
    context: str,
    osm_namespace: str,
    force: bool,
    everywhere: bool,
    delete_namespace: bool,
) -> None:
    """Remove the control plane, and its MeshConfig.

    Sidecars keep the configuration that they have. Policies, and the labels of namespaces, stay.
    """
    kept = {"Namespace"} if not delete_namespace else set()
    kept |= {"CustomResourceDefinition"} if not everywhere else set()
    made = manifests(Values(osm_namespace=osm_namespace))
    # Definitions come first when all is applied, and the server that reads them last.
    going = [one for one in reversed(made) if one["kind"] not in kept]
    if not force:
        text = f"Remove the control plane and its MeshConfig from {osm_namespace}"
        text += ", and every policy of the cluster" if everywhere else ""
        click.confirm(f"{text}?", abort=True)

    async def act(api: KubeApi) -> None:
        if everywhere:
            await refuse_beside_others(api, osm_namespace)
        await _remove(api, going, osm_namespace)

    on_cluster(kubeconfig, context, act)
    click.echo(f"Removed: {what} in {osm_namespace}. Policies are " + _policies(everywhere))


def _policies(everywhere: bool) -> str:  # noqa: FBT001 - one word of one sentence
    return "gone." if everywhere else "still there; -a deletes them as well."


async def refuse_beside_others(api: KubeApi, namespace: str) -> None:
    """ClickException if another control plane lives by the definitions."""
    from towpath.install.installed import other_namespaces

    if others := await other_namespaces(api, namespace):
        text = f"{', '.join(others)} has a control plane too, which needs the definitions and every"
        raise click.ClickException(f"{text} policy: uninstall it first, or leave out -a")


async def _remove(api: KubeApi, going: list[dict[str, Any]], namespace: str) -> None:
    from towpath.install.installed import deployment, mesh_config
    from towpath.install.objects import delete, stub, title

    lease = stub("coordination.k8s.io/v1", "Lease", "towpath-status", namespace)
    first = (deployment(namespace), mesh_config(namespace), lease)
    names = {title(one) for one in first}
    for document in (*first, *(one for one in going if title(one) not in names)):
        if await delete(api, document):
            click.echo(f"  deleted   {title(document)}")
