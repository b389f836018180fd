"""`towpath upgrade`: an installed control plane, brought to this version."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath import __version__
from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.cli.installation import (
    SET_HELP,
    apply_all,
    check_rollout,
    read_values,
    rollout_options,
    surveyed,
    wait_for_rollout,
)
from towpath.install.keys import KEYS
from towpath.install.manifests import as_yaml, manifests
from towpath.install.values import Values
from towpath.kubeapi.preset import PRESET

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi


@click.command(help=f"Upgrade an installed control plane to this version.\n\n{SET_HELP}")
@cluster_options
@namespace_option
@rollout_options
def upgrade(
    *,
    kubeconfig: Path,
    context: str,
    osm_namespace: str,
    allow_other_meshes: bool,
    take_ownership: bool,
    pairs: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Apply the manifests of this version, with the values that it was installed with.

    The MeshConfig and its preset are not changed.
    """
    from towpath.install.installed import find

    check_rollout(dry_run=dry_run, wait=wait)

    async def act(api: KubeApi) -> None:
        installed = await find(api, osm_namespace)
        if installed is None:
            text = f"nothing is installed in {osm_namespace}: use `towpath install`"
            raise click.ClickException(text)
        values = dataclasses.replace(installed.values, image_tag="")
        values = read_values(pairs, values)
        _refuse_what_is_fixed(values, installed.values)
        documents = [one for one in manifests(values) if one["metadata"]["name"] != PRESET]
        if dry_run:
            click.echo(as_yaml(documents), nl=False)
            return
        entries = await surveyed(
            api, values, documents, allow_others=allow_other_meshes, take=take_ownership
        )
        goal = values.image_tag or __version__
        click.echo(f"Towpath {installed.version} -> {goal}: mesh {values.mesh_name}")
        await apply_all(api, entries)
        if wait:
            await wait_for_rollout(api, values, within_s=timeout)

    on_cluster(kubeconfig, context, act)


def _refuse_what_is_fixed(values: Values, installed: Values) -> None:
    fixed = [name for name, key in KEYS.items() if key.sets in values.preset]
    if values.osm_namespace != installed.osm_namespace:
        fixed.append("osm.osmNamespace")
    if fixed:
        text = f"{', '.join(fixed)}: only `towpath install` takes it; patch the MeshConfig instead"
        raise click.BadParameter(text, param_hint="--set")
