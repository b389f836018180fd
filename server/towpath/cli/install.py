"""`towpath install`: from an empty cluster to a control plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from towpath import __version__
from towpath.cli.cluster import cluster_options, mesh_name_option, namespace_option, on_cluster
from towpath.cli.installation import (
    SET_HELP,
    apply_all,
    check_rollout,
    read_values,
    rollout_options,
    surveyed,
    wait_for_rollout,
)
from towpath.cli.options import refuse_beside
from towpath.install.manifests import as_yaml, manifests
from towpath.install.values import Values
from towpath.model.meshconfig import MESH_CONFIG_NAME as CONFIG
from towpath.settings import MeshSettings

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi

_NEXT = """\
Next:
  kubectl rollout status deployment/towpath -n {namespace}
  {add}    # its pods join the mesh
  towpath check{namespace_option}                 # is the installation healthy?"""


@click.command(help=f"Install the control plane.\n\n{SET_HELP}")
@cluster_options
@namespace_option
@mesh_name_option
@rollout_options
def install(
    *,
    kubeconfig: Path,
    context: str,
    osm_namespace: str,
    mesh_name: str,
    allow_other_meshes: bool,
    take_ownership: bool,
    pairs: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Apply the packaged manifests; the help text is above, for it lists the keys."""
    check_rollout(dry_run=dry_run, wait=wait)
    if dry_run:
        unused = ("allow_other_meshes", "take_ownership", "kubeconfig", "context")
        refuse_beside("--dry-run", *unused, reason="it does not contact a cluster")
    values = read_values(pairs, Values(mesh_name=mesh_name, osm_namespace=osm_namespace))
    documents = manifests(values)
    if dry_run:
        click.echo(as_yaml(documents), nl=False)
        return

    async def act(api: KubeApi) -> None:
        entries = await surveyed(
            api, values, documents, allow_others=allow_other_meshes, take=take_ownership
        )
        click.echo(f"Towpath {__version__}: mesh {values.mesh_name} in {values.osm_namespace}")
        await apply_all(api, entries)
        await _make_mesh_config(api, values, documents)
        if wait:
            await wait_for_rollout(api, values, within_s=timeout)

    on_cluster(kubeconfig, context, act)
    default = MeshSettings()
    option = (
        "" if values.osm_namespace == default.osm_namespace else f" --osm-namespace {osm_namespace}"
    )
    mesh = "" if values.mesh_name == default.mesh_name else f" --mesh-name {values.mesh_name}"
    add = f"towpath namespace add NAMESPACE{mesh}"
    click.echo(_NEXT.format(namespace=values.osm_namespace, namespace_option=option, add=add))


async def _make_mesh_config(api: KubeApi, values: Values, documents: list[dict[str, Any]]) -> None:
    """Make the MeshConfig; if there is one already, say what --set does not change of it."""
    from towpath.install.installed import differing, patch_command
    from towpath.install.manifests import mesh_config
    from towpath.install.objects import create, read, title

    document = mesh_config(documents)
    if await create(api, document):
        click.echo(f"  {'created':9} {title(document)}")
        return
    config = await read(api, document)
    click.echo(f"The MeshConfig {values.osm_namespace}/{CONFIG} already exists: it stays as it is.")
    for path, (present, value) in differing(config, values.preset).items():
        text = "not set" if present is None else yaml.safe_dump(present).split("\n")[0]
        click.echo(
            f"WARNING: spec.{path} is {text} there, and --set does not change it. To change it:\n"
            f"  {patch_command(values.osm_namespace, path, value)}",
            err=True,
        )
