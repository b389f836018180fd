"""`towpath uninstall`: the control plane removed, and policies only if that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.cli.installation import others_option

if TYPE_CHECKING:
    from towpath.install.removal import Removal
    from towpath.kubeapi.client import KubeApi


@click.command()
@click.argument("what", type=click.Choice(("mesh",)), default="mesh")
@cluster_options
@namespace_option
@click.option("--force", "-f", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    *("--delete-cluster-wide-resources", "-a", "everywhere"),
    is_flag=True,
    help="Delete the definitions too, and with them every policy in every namespace.",
)
@others_option
@click.option("--delete-namespace", is_flag=True, help="Delete the control plane's namespace too.")
def uninstall(
    *,
    what: str,
    kubeconfig: Path,
    context: str,
    osm_namespace: str,
    force: bool,
    everywhere: bool,
    allow_other_meshes: bool,
    delete_namespace: bool,
) -> None:
    """Remove the control plane, its MeshConfig, and the certificates that it issued.

    Objects that Towpath did not create are kept, and listed. Sidecars keep their configuration.
    Policies and the labels of namespaces are kept too.
    """
    from towpath.install.objects import delete, title

    async def look(api: KubeApi) -> Removal:
        return await _survey(
            api,
            osm_namespace,
            allow_others=allow_other_meshes,
            everywhere=everywhere,
            delete_namespace=delete_namespace,
        )

    removal = on_cluster(kubeconfig, context, look)
    for record, owner in removal.kept:
        click.echo(f"  kept      {title(record)} ({owner})")
    for text in removal.unknown:
        click.echo(f"  unknown   {text}")
    if not removal.going:
        click.echo(f"Nothing to remove: Towpath is not installed in {osm_namespace}.")
        return
    if not force:
        for record in removal.going:
            click.echo(f"  to delete {title(record)}")
        text = f"Remove the control plane and its MeshConfig from {osm_namespace}"
        text += ", and every policy of the cluster" if everywhere else ""
        click.confirm(f"{text}?", abort=True)

    async def act(api: KubeApi) -> None:
        for record in removal.going:
            if await delete(api, record):
                click.echo(f"  deleted   {title(record)}")

    on_cluster(kubeconfig, context, act)
    click.echo(f"Removed: {what} in {osm_namespace}. Policies are " + _policies(everywhere))


def _policies(everywhere: bool) -> str:  # noqa: FBT001 - one word of one sentence
    return "gone." if everywhere else "still there; -a deletes them as well."


async def _survey(
    api: KubeApi, namespace: str, *, allow_others: bool, everywhere: bool, delete_namespace: bool
) -> Removal:
    """What is to go; ClickException if others are in the way."""
    from towpath.install.others import other_control_planes
    from towpath.install.removal import removal
    from towpath.install.survey import Conflict, refuse_others, refuse_release

    others = await other_control_planes(api, namespace)
    try:
        await refuse_release(api, namespace, nothing="removed")
        if others and not allow_others:
            refuse_others(others, nothing="removed")
        return await removal(
            api, namespace, others, definitions=everywhere, with_namespace=delete_namespace
        )
    except Conflict as error:
        raise click.ClickException(str(error)) from error
